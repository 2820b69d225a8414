"""Time left and places in the queue, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.waiting import queue_text, time_left, time_range


@pytest.mark.parametrize(
    ("low_s", "high_s", "words"),
    [
        (700, 880, "about 11 to 15 min"),
        (3, 90.2, "at most 95 s"),
        (0.4, 15, "at most 15 s"),
        (30, 130, "at most 3 min"),
        (33, 33, "about 30 to 35 s"),
        (110.4, 110.4, "about 110 to 115 s"),
        (45, 45, "about 45 s"),
        (5400, 9000, "about 1.5 to 2.5 h"),
        (40_000, 80_000, "about 11 to 23 h"),
    ],
)
def test_a_range_is_in_the_unit_of_its_end_and_never_narrower_than_it_is(
    low_s: float, high_s: float, words: str
) -> None:
    assert time_range(low_s, high_s) == words


def test_what_is_not_known_says_why_and_an_earlier_service_gives_one_figure() -> None:
    known = {"eta_s": 800.0, "eta_low_s": 700.0, "eta_high_s": 880.0, "eta_unknown": None}
    assert time_left(known) == "about 11 to 15 min left"
    unknown = dict.fromkeys(known) | {"eta_unknown": "its speed is not measured yet"}
    assert time_left(unknown) == "time left not known: its speed is not measured yet"
    assert time_left({"eta_s": 33.0}) == "about 30 to 35 s left"
    assert time_left({"eta_s": None}) == "time left not known yet"


def test_a_place_in_the_queue() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=150)).isoformat()
    queue: dict[str, Any] = {"position": 2, "ahead": 1, "running": 2, "may_start_at": soon, "unknown": None}
    assert queue_text({"queue": queue}) == "number 2 in the queue; may start in about 2 to 3 min"
    unknown = queue | {"may_start_at": None, "unknown": "no one knows"}
    assert queue_text({"queue": unknown}) == "number 2 in the queue; waits for 2 searches; no estimate yet"
    behind_one = unknown | {"running": 0}
    assert queue_text({"queue": behind_one}) == "number 2 in the queue; waits for 1 search; no estimate yet"
    next_one = behind_one | {"position": 1, "ahead": 0}
    assert queue_text({"queue": next_one}) == (
        "number 1 in the queue; starts as soon as a worker is free; if this lasts, check that a worker is running"
    )
    assert queue_text({"queue": None}) is queue_text({}) is None
