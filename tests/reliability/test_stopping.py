"""Cancelled searches and workers that are asked to stop (cases 16 and 17 of docs/reliability.md)."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace

import pytest

from store.errors import LeaseLost
from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL
from tests.reliability.service import Service, has_exited
from tests.reliability.service_history import check_history
from tests.servers import wait_for
from tests.store.sample_rows import CHECKPOINT, claim, result


class TestCancel:
    def test_case_16_while_queued(self, start: Start) -> None:
        """With no worker online, a queued search is cancelled within a second and never starts."""
        service = start(ACTOR_STEPS=1)
        service.start_api()
        search_id = service.post()
        asked = time.monotonic()
        assert service.client.post(f"/searches/{search_id}/cancel").json()["state"] == "cancelled"
        assert time.monotonic() - asked < 1
        service.start_sweeper()
        service.start_worker()
        service.wait_for_state(service.post(), SearchState.SUCCEEDED)  # a worker could have started it
        assert service.state(search_id) == SearchState.CANCELLED
        assert service.event_kinds(search_id) == ["created", "cancelled"]

    @pytest.mark.timeout(200)
    def test_case_16_while_running(self, start: Start) -> None:
        """A real search ends within ten seconds, and its best network so far can be downloaded."""
        service = start()
        service.start_api()
        service.start_sweeper()
        service.start_worker(behaviour=None)
        search_id = service.post(**REAL)
        service.wait_for_event(search_id, "architecture")
        asked = time.monotonic()
        service.client.post(f"/searches/{search_id}/cancel").raise_for_status()
        service.wait_for_state(search_id, SearchState.CANCELLED)
        assert time.monotonic() - asked < 10
        search = service.client.get(f"/searches/{search_id}").json()
        assert search["best"]["macs"] <= REAL["flops_budget"]
        assert service.client.get(search["links"]["checkpoint"]).status_code == 200

    def test_case_16_while_hung(self, start: Start) -> None:
        """A search that ignores the request is killed when its grace period is over."""
        service = start(stop_grace_s=2)
        service.start_api()
        service.start_worker(behaviour="deaf")
        search_id = service.post()
        search_process = service.search_process()
        service.wait_for_event(search_id, "resumed")
        asked = time.monotonic()
        service.client.post(f"/searches/{search_id}/cancel").raise_for_status()
        service.wait_for_state(search_id, SearchState.CANCELLED)
        assert 2 <= time.monotonic() - asked < 10
        assert has_exited(search_process)

    def test_case_16_without_a_worker(self, start: Start) -> None:
        """Its worker died and no other is online: a sweeper closes the search, and it never starts again."""
        service = start(lease_s=2, ACTOR_STEPS=40)
        service.start_api()
        service.start_sweeper()
        service.start_worker("doomed")
        search_id = service.post()
        service.wait_for_event(search_id, "run_state_saved")
        service.kill("doomed")
        assert service.client.post(f"/searches/{search_id}/cancel").json()["state"] == "cancelling"
        service.wait_for_state(search_id, SearchState.CANCELLED)
        service.start_worker("late", ACTOR_STEPS="1")
        service.wait_for_state(service.post(), SearchState.SUCCEEDED)
        assert service.event_kinds(search_id).count("claimed") == 1
        check_history(service.stores, [search_id], steps=40)

    def test_case_16_while_finishing(self, start: Start) -> None:
        """A cancel and a finish at the same moment, a hundred times: one end each, the one in the response."""
        service = start()
        service.start_api()
        ends = [self._race(service) for _ in range(100)]
        assert len(ends) == 100
        print(f"\n{ends.count(SearchState.CANCELLED)} of 100 cancelled, the others succeeded")

    def _race(self, service: Service) -> SearchState:
        search_id = service.post()
        lease = claim(service.stores)
        checkpoint = replace(CHECKPOINT, key=f"{search_id}/1/model.safetensors")
        together = threading.Barrier(2)

        def finish() -> None:
            together.wait()
            service.stores.claims.finish(lease, result(), {"safetensors": checkpoint})

        worker = threading.Thread(target=finish)
        worker.start()
        together.wait()
        answer = service.client.post(f"/searches/{search_id}/cancel")
        worker.join()
        state = service.state(search_id)
        if answer.status_code == 202:
            assert state == SearchState.CANCELLED
        else:
            assert (answer.status_code, answer.json()["state"], state) == (409, "succeeded", SearchState.SUCCEEDED)
        ends = [kind for kind in service.event_kinds(search_id) if kind in ("succeeded", "cancelled")]
        assert ends == [state]
        with pytest.raises(LeaseLost):
            service.stores.claims.fail(lease, "late", "a second end")
        return state


class TestDrain:
    @pytest.mark.timeout(200)
    def test_case_17_twenty_seconds_to_save(self, start: Start) -> None:
        """SIGTERM twice: the search takes the time it needs to save and continues elsewhere; no crash is counted."""
        service = start(stop_grace_s=40, ACTOR_STEPS=15, ACTOR_SAVE_S=20)
        service.start_api()
        service.start_sweeper()
        service.start_worker("old", "slow_to_save")
        search_id = service.post()
        service.wait_for_event(search_id, "run_state_saved", count=2)
        signalled = time.monotonic()
        service.processes["old"].send_signal(signal.SIGTERM)
        time.sleep(3)
        assert service.stop("old") == 0
        assert time.monotonic() - signalled >= 20
        assert service.state(search_id) == SearchState.QUEUED
        assert service.stores.searches.get(search_id).crash_streak == 0
        service.start_worker("new")
        service.wait_for_state(search_id, SearchState.SUCCEEDED)
        exits = [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
        assert exits == [ExitClass.DRAINED, ExitClass.SUCCEEDED]
        check_history(service.stores, [search_id], steps=15)

    def test_case_17_grace_over(self, start: Start) -> None:
        """A search that outlasts its grace period is killed and resumes from its last run state, no crash counted."""
        service = start(stop_grace_s=2, ACTOR_STEPS=15, ACTOR_SAVE_S=60)
        service.start_api()
        service.start_sweeper()
        service.start_worker("old", "slow_to_save")
        search_id = service.post()
        service.wait_for_event(search_id, "run_state_saved", count=2)
        assert service.stop("old") == 0
        assert service.stores.searches.get(search_id).crash_streak == 0
        service.start_worker("new")
        service.wait_for_state(search_id, SearchState.SUCCEEDED)
        exits = [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
        assert exits == [ExitClass.DRAINED, ExitClass.SUCCEEDED]
        check_history(service.stores, [search_id], steps=15)

    def test_case_17_killed_while_saving(self, start: Start) -> None:
        """The worker gets SIGKILL while its search saves: the search resumes as after any other kill."""
        service = start(lease_s=3, ACTOR_STEPS=15, ACTOR_SAVE_S=60)
        service.start_api()
        service.start_sweeper()
        service.start_worker("old", "slow_to_save")
        search_id = service.post()
        service.wait_for_event(search_id, "run_state_saved", count=2)
        search_process = service.search_process("old")
        service.processes["old"].send_signal(signal.SIGTERM)
        time.sleep(2)
        service.kill("old")
        wait_for(lambda: has_exited(search_process), "the orphan exits", timeout_s=5)
        service.start_worker("new")
        service.wait_for_state(search_id, SearchState.SUCCEEDED)
        exits = [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
        assert exits == [ExitClass.LEASE_LOST, ExitClass.SUCCEEDED]
        check_history(service.stores, [search_id], steps=15)


@pytest.mark.timeout(200)
def test_a_pause_frees_the_worker_and_a_resume_continues(start: Start) -> None:
    """A real search is paused over HTTP: its best network can be downloaded, its worker takes the next search."""
    service = start(save_steps=5)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    search_id = service.post(**REAL)
    service.wait_for_event(search_id, "architecture")
    service.client.post(f"/searches/{search_id}/pause").raise_for_status()
    service.wait_for_state(search_id, SearchState.PAUSED)
    paused = service.client.get(f"/searches/{search_id}").json()
    assert paused["best"]["macs"] <= REAL["flops_budget"]
    assert service.client.get(paused["links"]["checkpoint"]).status_code == 200
    other = service.post(**REAL | {"seed": 1, "train": {"epochs": 1}})
    service.wait_for_state(other, SearchState.SUCCEEDED, timeout_s=100)
    service.client.post(f"/searches/{search_id}/resume").raise_for_status()
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=100)
    ended = service.client.get(f"/searches/{search_id}").json()
    assert ended["result"]["exact"]
    assert [attempt["exit_class"] for attempt in ended["attempts"]] == ["paused", "succeeded"]
