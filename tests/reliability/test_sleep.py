"""A laptop that sleeps: what stops with it is late by no fault of the search, which goes on as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.reference_search import REAL, uninterrupted_weights_sha256
from tests.reliability.suspensions import Suspension, laptop, sleep_often

LONG_ENOUGH = REAL | {"train": {"epochs": 16, "warmup_epochs": 1}}
# Leases that end within a stop; and a search that crashed once would fail.
SHORT = {
    "AUTONL_BEAT_S": "0.5",
    "AUTONL_LEASE_S": "5",
    "AUTONL_MAX_CRASH_STREAK": "1",
    "AUTONL_SPARE_IDLE_S": "0",
    "AUTONL_THREADS": "1",
}
STOP_S = 8


def survived(suspensions: list[Suspension]) -> list[bool]:
    return [suspension.survived for suspension in suspensions]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("who", "survivors"),
    [
        # The sweeper is awake and sees no beats: the next attempt goes on from the last run state.
        (["both", "supervisor", "both"], [False] * 3),
        # Who counts the beats slept as well, or beats went on: the same attempt goes on.
        (["all", "search", "all"], [True] * 3),
    ],
)
def test_stopped_for_longer_than_a_lease_again_and_again_a_search_ends_with_the_same_weights(
    who: list[str], survivors: list[bool], tmp_path: Path
) -> None:
    expected = uninterrupted_weights_sha256(tmp_path, LONG_ENOUGH)
    with laptop(tmp_path / "data", SHORT) as service:
        search_id = service.post(LONG_ENOUGH)
        suspensions = sleep_often(service, search_id, stops=len(who), stop_s=STOP_S, who=who, awake_s=lambda: 1.0)
        assert survived(suspensions) == survivors
        search = service.wait_for_end(search_id, 200)
    exits = [attempt["exit_class"] for attempt in search["attempts"]]
    assert exits == ["lease_lost"] * survivors.count(False) + ["succeeded"], search["error"]
    assert (search["result"]["weights_sha256"], search["result"]["exact"]) == (expected, True)
