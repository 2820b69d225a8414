"""Seeded chaos: whatever fails, every accepted search ends once, with every step done once.

Under odd seeds the service needs keys, and its users are two tenants, who never see nor change what the other has.
`make chaos` runs three seeds and `make chaos SEED=7` another one; both print what happened.
"""

from __future__ import annotations

import os
import time

import pytest

from store.keys import Scope
from tests.api.tenants import new_key
from tests.reliability.broker import VolatileBroker
from tests.reliability.chaos import FAULTS, SEARCHES, Chaos
from tests.reliability.conftest import Start
from tests.reliability.service_history import check_history

STEPS = 4
CHOSEN = os.environ.get("CHAOS_SEEDS")
MORE_SEEDS = [pytest.param(seed, marks=pytest.mark.repeated) for seed in (2, 3)]
SEEDS = [int(seed) for seed in CHOSEN.split(",")] if CHOSEN else [1, *MORE_SEEDS]


@pytest.mark.timeout(700)
@pytest.mark.parametrize("seed", SEEDS)
def test_chaos(seed: int, start: Start, broker: VolatileBroker) -> None:
    # Faults come faster than in production, so one search may well meet ten of them in a row.
    with_keys = seed % 2 == 1
    patience = {"lease_s": 3, "max_crash_streak": 30, "ring_max_s": 1}
    service = start(**patience, require_keys=with_keys, ACTOR_STEPS=STEPS, ACTOR_STEP_S=0.15)
    keys = [new_key(service.stores, tenant, [Scope.READ, Scope.SUBMIT]) for tenant in ("ants", "bees") if with_keys]
    began = time.monotonic()
    chaos = Chaos(service, broker, seed, keys)
    chaos.run()
    faults_s = time.monotonic() - began
    chaos.wait_until_all_ended(timeout_s=200)
    states = check_history(service.stores, chaos.accepted, steps=STEPS)
    attempts = [a for search_id in chaos.accepted for a in service.stores.searches.attempts(search_id)]
    refused = sum(service.event_kinds(search_id).count("stale_write_refused") for search_id in chaos.accepted)
    print(
        f"\nseed {seed}: {len(chaos.accepted)} searches, {sum(chaos.faults.values())} faults in {faults_s:.0f} s, "
        f"all ended after {time.monotonic() - began:.0f} s: {dict(states)}; {len(attempts)} attempts, "
        f"{refused} stale writes refused; {dict(chaos.faults)}; trespasses: {dict(chaos.refused)}"
    )
    assert len(set(chaos.accepted)) == SEARCHES >= 100
    assert sum(chaos.faults.values()) >= FAULTS >= 40
    assert set(states) <= {"succeeded", "cancelled"}
    assert states["succeeded"] >= SEARCHES / 2
    assert_tenants_were_apart(chaos, keys)


def assert_tenants_were_apart(chaos: Chaos, keys: list[str]) -> None:
    """Each user sees its own searches and no other, with the state of its row; no trespass had any effect."""
    for user in range(len(keys)):
        mine = {search_id: str(chaos.service.state(search_id)) for search_id in chaos.accepted_of(user)}
        assert chaos.seen_by(user) == mine
    if keys:
        assert {401, 404} <= set(chaos.refused) <= {401, 404, 503}
