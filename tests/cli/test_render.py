"""What the command line makes of figures."""

from __future__ import annotations

import pytest

from cli.render import share_done


@pytest.mark.parametrize(
    ("state", "fraction", "done"),
    [("running", 0.0, 0.0), ("running", 0.29, 0.29), ("running", 0.999, 0.99), ("paused", 1.0, 0.99),
     ("succeeded", 0.7, 1.0)],
)  # fmt: skip
def test_only_a_search_that_succeeded_is_done(state: str, fraction: float, done: float) -> None:
    assert share_done({"state": state, "progress": {"fraction": fraction}}) == done


def test_a_search_without_progress_has_done_nothing() -> None:
    assert share_done({"state": "queued", "progress": None}) == 0.0
