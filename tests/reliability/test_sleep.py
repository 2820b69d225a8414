"""A laptop that sleeps: what stops with it is late by no fault of the search, which goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.reliability.reference_search import REAL, uninterrupted_weights_sha256
from tests.reliability.suspensions import laptop, sleep_often

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


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "who", [("both", "supervisor", "both"), ("all", "search", "all")], ids=["awake sweeper", "all"]
)
def test_stopped_for_longer_than_a_lease_again_and_again_a_search_ends_with_the_same_weights(
    who: Sequence[str], tmp_path: Path
) -> None:
    """On one machine no one else claims a search whose supervisor is late, so it goes on where it was."""
    expected = uninterrupted_weights_sha256(tmp_path, LONG_ENOUGH)
    with laptop(tmp_path / "data", SHORT) as service:
        search_id = service.post(LONG_ENOUGH)
        suspensions = sleep_often(service, search_id, stops=len(who), stop_s=STOP_S, who=who, awake_s=lambda: 1.0)
        search = service.wait_for_end(search_id, 300)
        events = [event["kind"] for event in service.events(search_id)]
    assert search["state"] == "succeeded", search["error"]
    assert all(suspension.survived for suspension in suspensions)
    assert [attempt["exit_class"] for attempt in search["attempts"]] == ["succeeded"]
    assert events.count("lease_regained") == (0 if "all" in who else len(who))
    assert (search["result"]["weights_sha256"], search["result"]["exact"]) == (expected, True)
