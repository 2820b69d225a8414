"""Processes that are killed, frozen or crash at their start (cases 1 to 3 and 12 of docs/reliability.md)."""

from __future__ import annotations

import signal
import time
from itertools import pairwise

import pytest

from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL, SAVE_STEPS
from tests.reliability.service import has_exited, send_signal
from tests.reliability.service_history import check_history
from tests.servers import is_frozen, wait_for


@pytest.mark.timeout(200)
def test_case_01_search_process_killed(start: Start, expected_weights: str) -> None:
    """Kill -9 of a real search in mid-epoch: it resumes from its last run state and ends with identical weights."""
    service = start(save_steps=SAVE_STEPS)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    search_id = service.post(**REAL)
    service.wait_for_event(search_id, "run_state_saved", count=2)
    saved = service.event_kinds(search_id).count("run_state_saved")
    send_signal(service.search_process())
    killed = time.monotonic()
    service.wait_for_event(search_id, "claimed", count=2)
    assert time.monotonic() - killed < service.settings.lease_s + 10
    assert service.stores.searches.get(search_id).crash_streak <= 1  # 0 once it has resumed
    service.wait_for_event(search_id, "resumed")
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=120)
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert (result["weights_sha256"], result["exact"]) == (expected_weights, True)
    steps = [e.detail["step"] for e in service.stores.events.after(search_id) if e.kind == "run_state_saved"]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > saved


def test_case_02_supervisor_then_worker_killed(start: Start) -> None:
    """Kill -9 of the supervisor, then of the worker: the search process exits at once, another worker finishes."""
    service = start(ACTOR_STEPS=12, ACTOR_STEP_S=0.3)
    service.start_api()
    service.start_sweeper()
    service.start_worker("first")
    search_id = service.post()
    service.wait_for_event(search_id, "run_state_saved", count=2)
    search_process, supervisor = service.search_process("first"), service.supervisors("first")[0]
    send_signal(supervisor)
    wait_for(lambda: has_exited(search_process), "the orphan exits", timeout_s=2)
    service.kill("first")
    service.start_worker("second")
    service.wait_for_state(search_id, SearchState.SUCCEEDED)
    assert service.event_kinds(search_id).count("succeeded") == 1
    assert [a.exit_class for a in service.stores.searches.attempts(search_id)] == ["lease_lost", "succeeded"]
    check_history(service.stores, [search_id], steps=12)


def test_case_03_frozen_attempt_wakes_after_its_lease(start: Start) -> None:
    """Frozen for longer than its lease, an attempt wakes up replaced: its write is refused, and it exits."""
    service = start(ACTOR_STEPS=40, ACTOR_STEP_S=0.25, lease_s=3)
    service.start_api()
    service.start_sweeper()
    service.start_worker("first")
    search_id = service.post()
    service.wait_for_event(search_id, "run_state_saved")
    supervisor, search_process = service.supervisors("first")[0], service.search_process("first")
    for process in (supervisor, search_process):
        send_signal(process, signal.SIGSTOP)
    wait_for(lambda: is_frozen(supervisor.pid) and is_frozen(search_process.pid), "both are frozen")
    service.start_worker("second")
    service.wait_for_event(search_id, "claimed", count=2)
    service.wait_for_event(search_id, "resumed", count=2)
    for process in (search_process, supervisor):
        send_signal(process, signal.SIGCONT)
    service.wait_for_event(search_id, "stale_write_refused")
    wait_for(lambda: has_exited(search_process), "the stale process exits", timeout_s=10)
    assert not has_exited(supervisor)  # it is free for the next search
    service.wait_for_state(search_id, SearchState.SUCCEEDED)
    check_history(service.stores, [search_id], steps=40)


def test_case_12_search_that_always_crashes(start: Start) -> None:
    """A search that crashes at every start fails after three attempts, with increasing waits between them."""
    service = start(crash_backoff_s=1)
    service.start_api()
    service.start_sweeper()
    service.start_worker("poisoned", "segfault")
    poison = service.post()
    service.wait_for_state(poison, SearchState.FAILED)
    error = service.stores.searches.get(poison).error
    assert error is not None
    assert error["type"] == "poison"
    assert error["detail"].count("SIGSEGV") == 3
    attempts = service.stores.searches.attempts(poison)
    assert [a.exit_class for a in attempts] == [ExitClass.CRASHED] * 3
    waits = [(b.started_at - a.started_at).total_seconds() for a, b in pairwise(attempts)]
    assert waits[0] >= 1  # no hot loop: each wait is twice the previous one
    assert waits[1] >= 2


def test_case_12_other_searches_are_not_delayed(start: Start) -> None:
    """While one search waits for its next attempt, the only slot runs the others."""
    service = start(crash_backoff_s=30, ACTOR_STEPS=1)
    service.start_api()
    service.start_sweeper()
    service.start_worker("poisoned", "segfault")
    poison = service.post()
    service.wait_for_event(poison, "requeued")
    service.stop("poisoned")
    service.start_worker("healthy", "work")
    other = service.post()
    service.wait_for_state(other, SearchState.SUCCEEDED, timeout_s=20)
    assert service.state(poison) == SearchState.QUEUED
