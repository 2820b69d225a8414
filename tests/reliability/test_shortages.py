"""Memory and disks that are full, and damaged run states (cases 13 to 15 of docs/reliability.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.models import RunState
from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL, SAVE_STEPS
from tests.reliability.service import Service
from tests.reliability.service_history import check_history

# A supernet step that needs more than a gigabyte, and half of that in two micro-batches.
LARGE = REAL | {
    "search_space": None,
    "flops_budget": "8M",
    "resolution": 32,
    "supernet": {
        "epochs": 1,
        "batch_size": 512,
        "candidates": 1,
        "generations": 0,
        "finalists": 1,
        "finalist_epochs": 0,
    },
    "train": {"epochs": 1, "warmup_epochs": 0},
}


@pytest.mark.timeout(200)
def test_case_13_memory_suffices_for_no_micro_batch(start: Start) -> None:
    """If even the smallest micro-batch does not fit, the search is tried once more and then fails."""
    service = start(child_memory_bytes=1300 << 20)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    search_id = service.post(**LARGE)
    service.wait_for_state(search_id, SearchState.FAILED, timeout_s=120)
    error = service.stores.searches.get(search_id).error
    assert error is not None
    assert error["type"] == "out-of-memory"
    assert "lower the batch sizes" in error["detail"]
    assert exits(service, search_id) == [ExitClass.OUT_OF_MEMORY] * 2


@pytest.mark.timeout(200)
def test_case_13_memory_suffices_for_half_a_batch(start: Start) -> None:
    """If half a batch fits, the search continues in the same attempt and is marked as not exact."""
    service = start(child_memory_bytes=2600 << 20)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    search_id = service.post(**LARGE)
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=150)
    parts = [e.detail["parts"] for e in service.stores.events.after(search_id) if e.kind == "micro_batches"]
    assert parts[0] == 2
    assert exits(service, search_id) == [ExitClass.SUCCEEDED]
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert result["exact"] is False


# A single candidate that does not fit is covered by tests/autonl_core/run/test_stopping.py, TestMemory.


@pytest.mark.timeout(200)
def test_case_14_disk_full_while_saving(start: Start, expected_weights: str) -> None:
    """No room for a run state: the last good one stays, no partial file does, and with room the search resumes."""
    service = start(save_steps=SAVE_STEPS)
    service.start_api()
    service.start_sweeper()
    service.start_worker("roomy", behaviour=None)
    search_id = service.post(**REAL)
    service.wait_for_event(search_id, "run_state_saved", count=2)
    service.stop("roomy")
    good = service.stores.updates.run_states(search_id)
    service.start_worker("cramped", behaviour=None, file_bytes=64 << 10)
    service.wait_for_state(search_id, SearchState.FAILED, timeout_s=120)
    error = service.stores.searches.get(search_id).error
    assert error is not None
    assert error["type"] == "disk-full"
    assert "Free disk space" in error["detail"]
    assert [path(service, s) for s in service.stores.updates.run_states(search_id)] == [path(service, s) for s in good]
    assert set(files(service, search_id)) == {path(service, state) for state in good}
    service.stop("cramped")
    service.start_worker("roomy", behaviour=None)
    assert service.client.post(f"/searches/{search_id}/resume").status_code == 202
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=120)
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert (result["weights_sha256"], result["exact"]) == (expected_weights, True)


def test_case_14_disk_full_at_the_final_artifact(start: Start) -> None:
    """No room for the checkpoint that users download: no partial file is offered, and `resume` finishes the search."""
    service = start(ACTOR_STEPS=2)
    service.start_api()
    service.start_sweeper()
    service.start_worker("cramped", "cramped_at_the_end")
    search_id = service.post()
    service.wait_for_state(search_id, SearchState.FAILED)
    error = service.stores.searches.get(search_id).error
    assert error is not None
    assert error["type"] == "disk-full"
    assert exits(service, search_id) == [ExitClass.DISK_FULL] * 3
    assert service.stores.architectures.artifacts(search_id) == []
    assert [f for f in (service.settings.data_dir / "artifacts").rglob("*") if f.is_file()] == []
    service.stop("cramped")
    service.start_worker("roomy")
    service.client.post(f"/searches/{search_id}/resume").raise_for_status()
    service.wait_for_state(search_id, SearchState.SUCCEEDED)
    check_history(service.stores, [search_id], steps=2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.timeout(200)
def test_case_15_damaged_run_states(start: Start, expected_weights: str) -> None:
    """A damaged run state is detected and the previous one is used; with none left, the search fails."""
    service = start(save_steps=SAVE_STEPS)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    search_id, hopeless = service.post(**REAL), service.post(**REAL | {"seed": 1})
    for damage in (flip, truncate):
        interrupt(service, search_id)
        newest, _ = service.stores.updates.run_states(search_id)
        damage(path(service, newest))
        service.start_worker(behaviour=None)
        service.wait_for_event(search_id, "checkpoint_corrupt", count=1 + (damage is truncate))
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=100)
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert (result["weights_sha256"], result["exact"]) == (expected_weights, True)
    interrupt(service, hopeless)
    for state, damage in zip(service.stores.updates.run_states(hopeless), (flip, truncate), strict=True):
        damage(path(service, state))
    service.start_worker(behaviour=None)
    service.wait_for_state(hopeless, SearchState.FAILED)
    error = service.stores.searches.get(hopeless).error
    assert error is not None
    assert error["type"] == "checkpoint-corrupt"
    assert exits(service, hopeless)[-1] == ExitClass.REFUSED  # trying again would not help


def interrupt(service: Service, search_id: str) -> None:
    """Stop the worker once the search has saved two more run states."""
    saved = service.event_kinds(search_id).count("run_state_saved")
    service.wait_for_event(search_id, "run_state_saved", count=saved + 2)
    service.stop("worker")
    assert service.state(search_id) == SearchState.QUEUED


def path(service: Service, state: RunState) -> Path:
    return service.settings.searches_dir / state.path


def files(service: Service, search_id: str) -> list[Path]:
    """All files of a search except its logs."""
    return [f for f in (service.settings.searches_dir / search_id).rglob("*") if f.is_file() and f.suffix != ".log"]


def exits(service: Service, search_id: str) -> list[ExitClass | None]:
    return [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
