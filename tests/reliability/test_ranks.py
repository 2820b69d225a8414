"""A real search that several processes share: they are killed, paused and drained, and its weights stay the same."""

from __future__ import annotations

import random
import time
from typing import Any

import psutil
import pytest

from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL, uninterrupted_weights_sha256
from tests.reliability.service import Service, has_exited, send_signal
from tests.servers import wait_for
from tests.store.sample_rows import make_due

SHARED: dict[str, Any] = REAL | {
    "batch_parts": 2,
    "supernet": {"epochs": 1, "candidates": 2, "generations": 1, "finalists": 2, "finalist_epochs": 1},
    "train": {"epochs": 2, "warmup_epochs": 1},
}
RANK = "worker.search_process"  # the module that every rank runs

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SHA-256 of the weights that one process finds, without interruption."""
    return uninterrupted_weights_sha256(tmp_path_factory.mktemp("alone"), SHARED)


def serve(start: Start, **changes: Any) -> Service:
    service = start(save_steps=3, **changes)
    service.start_api()
    service.start_sweeper()
    return service


def ranks_of(service: Service, size: int) -> list[psutil.Process]:
    """The processes that compute a search, once there are so many."""

    def computing() -> list[psutil.Process]:
        started = service.search_process()
        return [one for one in (started, *started.children()) if not has_exited(one) and RANK in one.cmdline()[:4]]

    wait_for(lambda: len(computing()) == size, f"{size} processes compute", timeout_s=100)
    return computing()


def wait_for_states(service: Service, search_id: str, more: int) -> None:
    """Wait until the search has saved so many further run states."""
    saved = service.event_kinds(search_id).count("run_state_saved")
    service.wait_for_event(search_id, "run_state_saved", timeout_s=180, count=saved + more)


def assert_ended_as(expected: str, service: Service, search_id: str, exits: list[ExitClass]) -> None:
    """The search has the `expected` weights, and its attempts ended like this before the last one succeeded."""
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=400)
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert (result["weights_sha256"], result["exact"]) == (expected, True)
    attempts = service.stores.searches.attempts(search_id)
    assert [attempt.exit_class for attempt in attempts] == [*exits, ExitClass.SUCCEEDED]


def test_killed_at_random_steps_of_two_processes_and_of_one_it_ends_as_if_it_were_not(
    start: Start, expected: str
) -> None:
    service = serve(start, crash_backoff_s=600)  # it is due when the next worker is there
    search_id = service.post(**SHARED)
    rng, killed_in = random.Random(9), []
    for size in (2, 1):
        service.start_worker(behaviour=None, AUTONL_RANKS=str(size))
        ranks = ranks_of(service, size)
        wait_for_states(service, search_id, rng.randint(1, 4))
        time.sleep(rng.uniform(0, 0.3))  # anywhere between two run states, or while one is written
        killed_in.append(service.stores.searches.get(search_id).phase)
        send_signal(rng.choice(ranks))
        service.wait_for_state(search_id, SearchState.QUEUED)
        assert all(map(has_exited, ranks))
        assert service.stop("worker") == 0
        make_due(service.stores, search_id)
    service.start_worker(behaviour=None, AUTONL_RANKS="2")
    ranks_of(service, 2)
    assert_ended_as(expected, service, search_id, [ExitClass.KILLED, ExitClass.KILLED])
    print(f"\nkilled in {' and '.join(map(str, killed_in))}")


def test_paused_and_drained_its_ranks_leave_nothing_behind_and_it_ends_as_if_it_were_not(
    start: Start, expected: str
) -> None:
    service = serve(start, ranks=2)
    search_id = service.post(**SHARED)
    service.start_worker(behaviour=None)

    computing = everything_that_computes(service, search_id)
    service.client.post(f"/searches/{search_id}/pause").raise_for_status()
    service.wait_for_state(search_id, SearchState.PAUSED)
    assert [one for one in computing if not has_exited(one)] == []
    assert service.client.get(f"/searches/{search_id}").json()["best"]["macs"] <= SHARED["flops_budget"]

    service.client.post(f"/searches/{search_id}/resume").raise_for_status()
    computing = everything_that_computes(service, search_id)
    assert service.stop("worker") == 0
    assert service.state(search_id) == SearchState.QUEUED
    assert [one for one in computing if not has_exited(one)] == []

    service.start_worker(behaviour=None)
    assert_ended_as(expected, service, search_id, [ExitClass.PAUSED, ExitClass.DRAINED])
    assert service.stores.searches.get(search_id).crash_streak == 0


def everything_that_computes(service: Service, search_id: str) -> list[psutil.Process]:
    """Both ranks, who started them, and what they started, once the search has saved two further run states."""
    ranks_of(service, 2)
    wait_for_states(service, search_id, 2)
    started = service.search_process()
    return [started, *started.children(recursive=True)]
