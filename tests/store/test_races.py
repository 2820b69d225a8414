"""Several processes on one database: every search runs exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from autonl_core.datasets.spec import DIGITS
from store.db import now
from store.models import Attempt, Event, Search
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores
from tests.store.sample_rows import CONFIG, claim, expire

pytestmark = pytest.mark.long

CLAIMERS = 6
RACE_S = 100


def queue_many(stores: Stores, count: int) -> None:
    """Create `count` searches in one transaction; their creation is not part of the race."""
    with stores.database.session_scope() as session:
        moment = now(session)
        row = {
            "config": CONFIG.to_json(),
            "dataset": DIGITS.name,
            "dataset_spec": DIGITS.to_json(),
            "created_at": moment,
            "next_run_at": moment,
        }
        session.execute(insert(Search), [row | {"id": f"{number:016}"} for number in range(count)])


def race(settings: Settings, *roles: str) -> Sequence[str]:
    """Run one process per role, all starting together, until they end; returns what each one printed."""
    environment = os.environ | {
        "DATABASE_URL": settings.resolved_database_url,
        "AUTONL_DATA_DIR": str(settings.data_dir),
        "AUTONL_CRASH_BACKOFF_S": "0",
    }
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.racing_process", role],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in roles
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        printed = [racer.communicate(timeout=RACE_S)[0] for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert [racer.returncode for racer in racers] == [0] * len(racers)
    return printed


def histories(stores: Stores) -> Counter[tuple[str, ...]]:
    """The event kinds of each search, in order, and how many searches have the same."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    with stores.database.read_scope() as session:
        for search_id, kind in session.execute(select(Event.search_id, Event.kind).order_by(Event.seq)):
            kinds[search_id].append(kind)
    return Counter(map(tuple, kinds.values()))


def exit_classes(stores: Stores) -> Counter[ExitClass | None]:
    """How many attempts of all searches ended in each way."""
    with stores.database.read_scope() as session:
        return Counter(session.scalars(select(Attempt.exit_class)).all())


@pytest.mark.timeout(2 * RACE_S)
def test_six_processes_run_each_search_exactly_once(stores: Stores, settings: Settings) -> None:
    queue_many(stores, 500)
    race(settings, *["claim"] * CLAIMERS)
    assert stores.searches.count_by_state()[SearchState.FAILED] == 500  # the ending that the racers write
    assert histories(stores) == {("claimed", "failed"): 500}
    assert exit_classes(stores) == {ExitClass.REFUSED: 500}


@pytest.mark.timeout(2 * RACE_S)
def test_case_11_two_sweepers_and_six_claimers_do_nothing_twice(stores: Stores, settings: Settings) -> None:
    """Half of the searches begin with an expired lease of a dead worker: each is swept once, and then runs once."""
    queue_many(stores, 200)
    for _ in range(100):
        expire(stores, claim(stores, "dead-worker"))
    *_, first, second = race(settings, *["claim"] * CLAIMERS, "sweep", "sweep")
    assert int(first) + int(second) == 100
    assert stores.searches.count_by_state()[SearchState.FAILED] == 200
    assert histories(stores) == {("claimed", "failed"): 100, ("claimed", "requeued", "claimed", "failed"): 100}
    assert exit_classes(stores) == {ExitClass.REFUSED: 200, ExitClass.LEASE_LOST: 100}
