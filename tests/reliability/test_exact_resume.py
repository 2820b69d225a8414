"""Killed many times at random, a real search ends with exactly the weights of an uninterrupted one."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from autonl_core.datasets.scan import scan
from store.states import ExitClass, SearchState
from tests.autonl_core.few_clothes import few_clothes
from tests.reliability.conftest import Start
from tests.reliability.reference_search import (
    REAL,
    uninterrupted,
    uninterrupted_weights_sha256,
    weights_sha256_in,
)
from tests.reliability.service import Service, send_signal
from tests.store.sample_rows import register

LONGER = REAL | {"train": {"epochs": 12, "warmup_epochs": 1}}
# From pretrained weights: a teacher, two resolutions to try, and two finalists.
ON_PHOTOS: dict[str, Any] = {
    "dataset": "clothes",
    "flops_budget": 28_000_000,
    "init": "efficientnet-lite0",
    "search_space": "lite",
    "val_fraction": 0.25,
    "teacher": {"epochs": 3, "resolution": 64, "batch_size": 4},
    "supernet": {
        "epochs": 2,
        "batch_size": 4,
        "candidates": 2,
        "generations": 1,
        "finalists": 2,
        "finalist_epochs": 1,
    },
    "train": {"epochs": 4, "batch_size": 4, "warmup_epochs": 1},
    "export": {"formats": []},
}
KILLS = pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.repeated)])


def serve(start: Start, save_steps: int) -> Service:
    service = start(save_steps=save_steps)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    return service


def kill_often(service: Service, search_id: str, kills: int, most_states: int = 3) -> None:
    """Kill the search process after one to `most_states` run states, again and again; then let the search end."""
    rng = random.Random(20)
    killed_in = []
    for kill in range(1, kills + 1):
        saved = service.event_kinds(search_id).count("run_state_saved")
        service.wait_for_event(search_id, "claimed", count=kill)
        service.wait_for_event(search_id, "run_state_saved", count=saved + rng.randint(1, most_states))
        time.sleep(rng.uniform(0, 0.05))  # anywhere between two run states, or while one is written
        killed_in.append(service.stores.searches.get(search_id).phase)
        send_signal(service.search_process())
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=180)
    exits = [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
    print(f"\n{kills} kills, in {', '.join(f'{phase} {killed_in.count(phase)}' for phase in dict.fromkeys(killed_in))}")
    assert exits == [ExitClass.KILLED] * kills + [ExitClass.SUCCEEDED]


def assert_ended_as(expected: str, service: Service, search_id: str) -> None:
    """The search has the `expected` weights, and numbered its run states without a gap."""
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert (result["weights_sha256"], result["exact"]) == (expected, True)
    steps = [e.detail["step"] for e in service.stores.events.after(search_id) if e.kind == "run_state_saved"]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.timeout(500)
@KILLS
def test_kills_do_not_change_the_result(kills: int, start: Start, tmp_path: Path) -> None:
    expected = uninterrupted_weights_sha256(tmp_path, LONGER)
    service = serve(start, save_steps=3)
    search_id = service.post(**LONGER)
    kill_often(service, search_id, kills)
    assert_ended_as(expected, service, search_id)


@pytest.mark.timeout(900)
@KILLS
def test_kills_do_not_change_what_a_search_from_pretrained_weights_finds(
    kills: int, start: Start, tmp_path: Path
) -> None:
    photos = scan("clothes", few_clothes(tmp_path / "clothes.zip"))
    expected = uninterrupted_weights_sha256(tmp_path, ON_PHOTOS, Path(photos.location))
    service = serve(start, save_steps=1)
    register(service.stores, photos)
    search_id = service.post(**ON_PHOTOS)
    kill_often(service, search_id, kills, most_states=80 // kills)  # of some 70, in all phases
    assert_ended_as(expected, service, search_id)


@pytest.mark.timeout(500)
@KILLS
def test_kills_do_not_change_what_the_searches_for_two_budgets_find(kills: int, start: Start, tmp_path: Path) -> None:
    """Whichever of the two has the slot is killed; while the one waits for its next attempt, the other has it."""
    two = LONGER | {"flops_budgets": [400_000, 300_000]}
    out = uninterrupted(tmp_path, two)
    service = serve(start, save_steps=3)
    first = service.post(**two)
    kill_whoever_runs(service, first, kills)
    _, other = of_all_budgets(service, first)
    for search_id in (first, other):
        service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=180)
    exits = Counter(attempt.exit_class for one in (first, other) for attempt in service.stores.searches.attempts(one))
    assert exits == {ExitClass.KILLED: kills, ExitClass.SUCCEEDED: 2}
    assert_ended_as(weights_sha256_in(out), service, first)
    assert_ended_as(weights_sha256_in(out / "300000"), service, other)


def kill_whoever_runs(service: Service, first: str, kills: int) -> None:
    """Kill the search process of any budget after one to three further run states, again and again."""
    rng = random.Random(20)
    killed: Counter[str] = Counter()
    for _ in range(kills):
        enough = saved_states(service, first) + rng.randint(1, 3)
        while saved_states(service, first) < enough:
            time.sleep(0.02)
        killed.update(
            f"{service.stores.searches.get(one).phase} of {'the first' if one == first else 'the other'}"
            for one in of_all_budgets(service, first)
            if service.state(one) is SearchState.RUNNING
        )
        send_signal(service.search_process())
    print(f"\n{kills} kills, in {', '.join(f'{phase} {count}' for phase, count in killed.items())}")


def of_all_budgets(service: Service, first: str) -> list[str]:
    """The searches for all budgets that there are by now."""
    budgets = service.client.get(f"/searches/{first}").json()["budgets"]
    return [budget["search_id"] for budget in budgets if budget["search_id"] is not None]


def saved_states(service: Service, first: str) -> int:
    return sum(service.event_kinds(one).count("run_state_saved") for one in of_all_budgets(service, first))
