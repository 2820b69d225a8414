"""`autonl estimate`, but for the short run itself."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from cli.estimate import estimate
from cli.short_run import PhaseEstimate

PHASES = (PhaseEstimate("preparing", 360.0), PhaseEstimate("training", 7200.0, 3.6e15, 5e11))


def said(*arguments: str) -> str:
    with mock.patch("cli.short_run.estimate", return_value=PHASES):
        return CliRunner().invoke(estimate, list(arguments)).output


def test_it_says_hours_rates_cost_and_what_is_assumed() -> None:
    text = said("--recipe", "imagenet", "--price", "2.5")
    assert "training           2.00 h  3.6e+15 image-MACs at 5e+11 a second" in text
    assert "together           2.10 h" in text
    assert "cost               5.25  at 2.5 an hour" in text
    assert "Assumed: cpu computes as fast as in a short run on 80 generated images" in text


def test_as_json() -> None:
    answer = json.loads(said("--recipe", "imagenet", "--json", "--price", "1"))
    assert (answer["seconds"], answer["cost"]) == (7560.0, 2.1)
    assert answer["phases"][1] == {"phase": "training", "seconds": 7200.0, "macs": 3.6e15, "macs_per_s": 5e11}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give either the file CONFIG or --recipe"),
        (("x.yaml", "--recipe", "imagenet"), "give either the file CONFIG or --recipe"),
        (("--recipe", "nothing"), "recipes: imagenet"),
    ],
)
def test_what_names_no_search_is_refused_with_the_way_out(arguments: tuple[str, ...], text: str) -> None:
    assert text in said(*arguments).replace("\n", " ")


def test_a_file_that_is_no_search_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("dataset: [1]")
    assert "x.yaml is not a valid search" in said(str(path)).replace("\n", "")
