"""Requests, claims, updates, endings, faults and waits in any order: the stores do what the model predicts.

The examples are the same in every run. For more of them, and new ones each time:
`LIFECYCLE_EXAMPLES=2000 pytest tests/store/test_lifecycle_model.py --timeout=0`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event

from store.leases import Lease
from store.settings import Settings
from store.states import CRASHES, ExitClass, SearchState
from store.stores import Stores, open_stores
from tests.store.lifecycle_model import (
    BACKOFF_S,
    GIVE_UPS,
    KEY_KEPT_S,
    LEASE_S,
    MAX_ATTEMPTS,
    MAX_INTERRUPTIONS,
    MAX_STREAK,
    RING_MAX_S,
    RING_S,
)
from tests.store.model_comparison import StoresAndModel
from tests.store.sample_rows import WRITES

EXAMPLES = os.environ.get("LIFECYCLE_EXAMPLES")
FEW, MANY = 8, 60  # with every change, and in `make reliability`
STEPS = 50
MAX_SEARCHES = 3

KEYS = ["a", "b"]
BODIES = st.sampled_from(["1", "2"])
REQUESTS = st.sampled_from(["resume", "resume", "pause", "cancel", "delete"])
UPDATES = st.sampled_from(["preparing", "searching", "architecture", "best kept", "saved"])
ENDINGS = st.sampled_from(["finish", "fail", "give back", "stop for a cancel", *sorted(CRASHES), ExitClass.LEASE_LOST])
# The index of an existing object, modulo their number; leases are listed newest first.
NUMBERS = st.integers(min_value=0, max_value=MAX_SEARCHES)

EFFORT = hypothesis_settings(
    derandomize=EXAMPLES is None,
    stateful_step_count=STEPS,
    # All but `explain`, which traces every line: it takes minutes, and the steps already show what happened.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)

T = TypeVar("T")


def picked(options: Sequence[T], number: int) -> T:
    return options[number % len(options)]


class Lifecycle(RuleBasedStateMachine):
    """Users, workers of which any may be late, and a sweeper."""

    def __init__(self, stores: Stores) -> None:
        super().__init__()
        self.pair = StoresAndModel(stores)
        self.world = self.pair.world
        self.seen: list[Lease] = []  # what workers saw due, as the lease that they are about to take

    def held(self) -> list[Lease]:
        return [lease for lease in self.pair.leases[::-1] if self.pair.holder(lease)]

    def stale(self) -> list[Lease]:
        return [lease for lease in self.pair.leases[::-1] if not self.pair.holder(lease)]

    # Users ------------------------------------------------------------------------------------------------------------

    @initialize(times=st.sampled_from([0, 0, MAX_STREAK - 1, MAX_STREAK]), exit_class=st.sampled_from(sorted(CRASHES)))
    def submits_the_first(self, times: int, exit_class: ExitClass) -> None:
        """By chance alone, hardly any search would crash often enough in one way, so some begin like that."""
        self.pair.submit(None, "1")
        self.runs_attempts([], exit_class, times)

    @precondition(lambda self: len(self.world.searches) < MAX_SEARCHES)
    @rule(key=st.sampled_from([None, *KEYS]), body=BODIES)
    def submits(self, key: str | None, body: str) -> None:
        self.pair.submit(key, body)

    @precondition(lambda self: any(self.world.known(key) for key in KEYS))
    @rule(number=NUMBERS, body=BODIES)
    def submits_again(self, number: int, body: str) -> None:
        self.pair.submit(picked([key for key in KEYS if self.world.known(key)], number), body)

    @precondition(lambda self: bool(self.world.searches))
    @rule(number=NUMBERS, request=REQUESTS)
    def asks_to(self, request: str, number: int) -> None:
        running_first = sorted(self.world.searches, key=lambda search: not search.claimed)
        self.pair.ask(picked(running_first, number), request)

    # Workers ----------------------------------------------------------------------------------------------------------

    @rule(owner=st.sampled_from(["worker-1", "worker-2", "worker-3"]))
    def claims(self, owner: str) -> None:
        self.pair.claim(owner)

    @precondition(lambda self: bool(self.world.first_due()))
    @rule()
    def sees_what_is_due(self) -> None:
        due = self.world.first_due()
        assert due is not None
        self.seen.append(Lease(due.id, due.fence + 1))

    @precondition(lambda self: bool(self.seen))
    @rule(number=NUMBERS)
    def takes_what_it_saw(self, number: int) -> None:
        self.pair.take(picked(self.seen[::-1], number))

    @precondition(lambda self: bool(self.held()))
    @rule(number=NUMBERS, update=UPDATES)
    def updates(self, number: int, update: str) -> None:
        self.pair.update(picked(self.held(), number), update)

    @precondition(lambda self: bool(self.held()))
    @rule(number=NUMBERS, ending=ENDINGS)
    def ends(self, number: int, ending: str) -> None:
        self.pair.end(picked(self.held(), number), ending)

    @rule(updates=st.lists(UPDATES, max_size=2), ending=ENDINGS, times=st.sampled_from([1, MAX_ATTEMPTS]))
    def runs_attempts(self, updates: list[str], ending: str, times: int) -> None:
        """Several steps at once, because it takes many attempts until a search fails."""
        for _ in range(times):
            self.pair.wait(RING_MAX_S)
            lease = self.pair.claim("worker-1")
            self.pair.check()
            if lease is not None:
                for update in updates:
                    self.pair.update(lease, update)
                self.pair.end(lease, ending)
            self.pair.check()

    @precondition(lambda self: bool(self.pair.leases))
    @rule(number=NUMBERS)
    def beats(self, number: int) -> None:
        self.pair.beat(picked(self.pair.leases[::-1], number))

    @precondition(lambda self: bool(self.stale()))
    @rule(number=NUMBERS)
    def wakes_up(self, number: int) -> None:
        self.pair.regain(picked(self.stale(), number))

    @precondition(lambda self: bool(self.stale()))
    @rule(number=NUMBERS, name=st.sampled_from(sorted(WRITES)), logs_it=st.booleans())
    def writes_too_late(self, number: int, name: str, logs_it: bool) -> None:
        lease = picked(self.stale(), number)
        self.pair.write_too_late(lease, name)
        if logs_it:
            self.pair.log_stale_write(lease)

    # Time, and the sweeper --------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([BACKOFF_S, LEASE_S, RING_MAX_S, KEY_KEPT_S]))
    def waits(self, seconds: int) -> None:
        self.pair.wait(seconds)

    @rule()
    def sweeps_and_notifies(self) -> None:
        self.pair.sweep()
        self.pair.notify()

    # After each step -------------------------------------------------------------------------------------------------

    @invariant()
    def everything_is_as_predicted(self) -> None:
        self.pair.check()


@pytest.mark.long
@pytest.mark.timeout(600)  # a quarter of a minute if it passes; a failing example is shrunk first
def test_the_stores_do_what_the_model_predicts(database_url: str, tmp_path: Path) -> None:
    compare_with_model(database_url, tmp_path, FEW)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_they_do_so_in_many_lives(database_url: str, tmp_path: Path) -> None:
    compare_with_model(database_url, tmp_path, MANY)


def compare_with_model(database_url: str, tmp_path: Path, examples: int) -> None:
    """Live so many random lives of searches in stores and model at once; every answer must be the same."""
    settings = Settings(
        data_dir=tmp_path,
        database_url=database_url,
        lease_s=LEASE_S,
        crash_backoff_s=BACKOFF_S,
        ring_s=RING_S,
        ring_max_s=RING_MAX_S,
        max_crash_streak=MAX_STREAK,
        max_attempts=MAX_ATTEMPTS,
        max_interruptions=MAX_INTERRUPTIONS,
    )
    stores = open_stores(settings)
    effort = hypothesis_settings(EFFORT, max_examples=int(EXAMPLES or examples))
    if database_url.startswith("sqlite"):
        event.listen(stores.database.engine, "connect", _do_not_wait_for_the_disk)
    reached: set[str] = set()

    class LifecycleHere(Lifecycle):
        def __init__(self) -> None:
            super().__init__(stores)

        def teardown(self) -> None:
            reached.update(self.world.reached)

    try:
        reach_what_chance_rarely_does(LifecycleHere)
        run_state_machine_as_test(LifecycleHere, settings=effort)
    finally:
        stores.close()
    # States and reasons that no example reached would be untested.
    assert reached >= set(SearchState) | GIVE_UPS


def reach_what_chance_rarely_does(new_machine: Callable[[], Lifecycle]) -> None:
    """Let searches fail for each reason once, and ask running ones to stop."""
    for exit_class in [*sorted(CRASHES), ExitClass.LEASE_LOST]:
        machine = new_machine()
        machine.submits_the_first(max(MAX_STREAK, MAX_INTERRUPTIONS), exit_class)
        machine.teardown()
    machine = new_machine()
    machine.submits_the_first(0, ExitClass.CRASHED)
    machine.runs_attempts(["saved"], ExitClass.CRASHED, MAX_ATTEMPTS)
    machine.teardown()
    for request in ("pause", "cancel"):
        machine = new_machine()
        machine.submits_the_first(0, ExitClass.CRASHED)
        machine.claims("worker-1")
        machine.everything_is_as_predicted()
        machine.asks_to(request, 0)
        machine.everything_is_as_predicted()
        machine.teardown()


def _do_not_wait_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
