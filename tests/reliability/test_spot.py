"""A worker whose machine is about to be taken away: SIGTERM comes first, and seconds later everything is gone."""

from __future__ import annotations

import signal
import time

import pytest

from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.servers import wait_for

NOTICE_S = 20.0


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("phase", ["searching", "training"])
def test_a_search_is_saved_within_twenty_seconds_of_the_notice(phase: str, start: Start) -> None:
    service = start(save_steps=100_000)
    service.start_api()
    service.start_worker(behaviour=None)
    search_id = service.post()
    wait_for(lambda: service.stores.searches.get(search_id).phase == phase, f"the phase is {phase}", timeout_s=300)
    before = service.event_kinds(search_id).count("run_state_saved")
    noticed = time.monotonic()
    service.stop("worker", signal.SIGTERM, timeout_s=60)
    took_s = time.monotonic() - noticed
    assert service.event_kinds(search_id).count("run_state_saved") == before + 1
    assert service.state(search_id) is SearchState.QUEUED
    assert [one.exit_class for one in service.stores.searches.attempts(search_id)] == [ExitClass.DRAINED]
    print(f"saved and ended {took_s:.1f} s after the notice, in the phase {phase}")
    assert took_s < NOTICE_S
