"""A worker whose machine is about to be taken away: SIGTERM comes first, and seconds later everything is gone."""

from __future__ import annotations

import signal
import time

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.servers import wait_for

NOTICE_S = 20.0


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("phase", ["searching", "training"])
def test_a_search_is_saved_and_queued_within_twenty_seconds_of_the_notice(phase: str, start: Start) -> None:
    """Nothing else is saved meanwhile: epochs are long."""
    service = start(save_steps=100_000)
    config = SearchConfig(dataset="digits", flops_budget=400_000)
    search_id = service.stores.searches.create(config, DIGITS)[0].id
    service.start_sweeper()
    service.start_worker(behaviour=None, wait=False)
    wait_for(lambda: service.stores.searches.get(search_id).phase == phase, f"the phase is {phase}", timeout_s=600)
    before = service.event_kinds(search_id).count("run_state_saved")
    noticed = time.monotonic()
    service.processes["worker"].send_signal(signal.SIGTERM)
    wait_for(lambda: service.event_kinds(search_id).count("run_state_saved") > before, "it is saved", NOTICE_S)
    saved_s = time.monotonic() - noticed
    service.kill("sweeper")  # or another worker would get it
    wait_for(lambda: service.state(search_id) is SearchState.QUEUED, "it is queued", NOTICE_S - saved_s)
    print(f"{phase}: saved {saved_s:.1f} s after the notice, queued after {time.monotonic() - noticed:.1f} s")
    assert [one.exit_class for one in service.stores.searches.attempts(search_id)] == [ExitClass.DRAINED]
