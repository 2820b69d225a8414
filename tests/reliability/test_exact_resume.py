"""Killed many times at random, a real search ends with exactly the weights of an uninterrupted one."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from store.states import ExitClass, SearchState
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL, uninterrupted_weights_sha256
from tests.reliability.service import send_signal

LONGER = REAL | {"train": {"epochs": 12, "warmup_epochs": 1}}


@pytest.mark.timeout(500)
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.repeated)])
def test_kills_do_not_change_the_result(kills: int, start: Start, tmp_path: Path) -> None:
    expected = uninterrupted_weights_sha256(tmp_path, LONGER)
    service = start(save_steps=3)
    service.start_api()
    service.start_sweeper()
    service.start_worker(behaviour=None)
    search_id = service.post(**LONGER)
    rng = random.Random(20)
    killed_in = []
    for kill in range(1, kills + 1):
        saved = service.event_kinds(search_id).count("run_state_saved")
        service.wait_for_event(search_id, "claimed", count=kill)
        service.wait_for_event(search_id, "run_state_saved", count=saved + rng.randint(1, 3))
        time.sleep(rng.uniform(0, 0.05))  # anywhere between two run states, or while one is written
        killed_in.append(service.stores.searches.get(search_id).phase)
        send_signal(service.search_process())
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=120)
    exits = [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
    print(f"\n{kills} kills, in {', '.join(f'{phase} {killed_in.count(phase)}' for phase in dict.fromkeys(killed_in))}")
    assert exits == [ExitClass.KILLED] * kills + [ExitClass.SUCCEEDED]
    result = service.stores.searches.get(search_id).result
    assert result is not None
    assert (result["weights_sha256"], result["exact"]) == (expected, True)
    steps = [e.detail["step"] for e in service.stores.events.after(search_id) if e.kind == "run_state_saved"]
    assert steps == list(range(1, len(steps) + 1))
