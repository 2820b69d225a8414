"""`autonl zoo`: published networks in a terminal, without a running service."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from autonl_core.spec.zoo import ZOO
from cli.main import app


def zoo(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["zoo", *arguments], catch_exceptions=False)


def test_every_network_has_a_row_with_its_figures() -> None:
    result = zoo()
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:] if line}
    assert set(ZOO) <= set(lines)
    for part in ("267M", "4.4M", "76.5%", "266,878,784", "4,389,350", "Li et al., arXiv:2004.01961"):
        assert part in lines["autonl_s"]


def test_json_output_has_arch_strings_scaled_to_a_budget() -> None:
    result = zoo("--budget", "100M", "--resolution", "192", "--classes", "20", "--json")
    networks = json.loads(result.stdout)["networks"]
    assert [net["name"] for net in networks] == list(ZOO)
    for net in networks:
        assert net["arch_string"].startswith("in192 | ")
        assert net["arch_string"].endswith(" | fc20")
        assert abs(net["macs"] - 100e6) <= 3e6


def test_figures_say_what_they_were_counted_for_and_how_far_a_scaled_network_may_be_off() -> None:
    titles = zoo().stdout.splitlines()[0]
    assert [titles.count(title) for title in ("published MACs", "MACs here", "params here")] == [1, 1, 1]
    assert "Here: 224 pixels, 1,000 classes.\n" in zoo().stdout
    scaled = zoo("-b", "12M", "--resolution", "64", "--classes", "2").stdout
    assert "Here: 64 pixels, 2 classes, with widths scaled to within 3% of 12,000,000 MACs, above or below.\n" in scaled


def test_an_unreachable_budget_is_marked() -> None:
    assert zoo("--budget", "1k").stdout.count("out of reach") == len(ZOO)


@pytest.mark.parametrize(
    ("option", "value"), [("--budget", "lots"), ("--budget", "0"), ("--resolution", "1"), ("--classes", "0")]
)
def test_an_invalid_option_prints_a_message_and_exits_with_code_2(option: str, value: str) -> None:
    result = zoo(option, value)
    assert (result.exit_code, "No network fits these options" in result.stderr) == (2, True)
    assert value in result.stderr
