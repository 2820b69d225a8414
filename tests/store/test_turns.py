"""Whose search is claimed next, on both databases: priorities, turns of tenants, limits of running searches."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import event, insert, select, text

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import ResourceClass
from store.leases import Lease
from store.models import Search
from store.queue_places import KEPT_BACK, NOT_BEGUN, OF_ITS_CLASS
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores, open_stores
from store.turns import SERVED_BY_GPU, SERVED_WITHOUT_GPU
from tests.store.sample_rows import CONFIG, claim

QUEUED = 10_000


@pytest.fixture
def tenants(stores: Stores) -> dict[str, Stores]:
    """The stores of three tenants."""
    names = ("a", "b", "c")
    for name in names:
        stores.tenants.create(name)
    return {name: stores.of_tenant(name) for name in names}


def queue(stores: Stores, priority: int = 0, resource_class: ResourceClass = "any") -> str:
    changed = {"priority": priority, "resource_class": resource_class}
    return stores.searches.create(CONFIG.model_copy(update=changed), DIGITS)[0].id


def tenant_of_next(stores: Stores) -> str:
    return stores.searches.get(claim(stores).search_id).tenant_id


def finish(stores: Stores, search_id: str) -> None:
    """End a running search."""
    stores.control.cancel(search_id)
    stores.claims.cancelled(Lease(search_id, stores.searches.get(search_id).fence))


def test_a_tenant_with_2_queued_does_not_wait_for_one_with_20(stores: Stores, tenants: dict[str, Stores]) -> None:
    """On one slot: of the first four turns, the second tenant has two."""
    for _ in range(20):
        queue(tenants["a"])
    first = claim(stores)
    for _ in range(2):
        queue(tenants["b"])
    finish(stores, first.search_id)
    turns = []
    for _ in range(5):
        lease = claim(stores)
        turns.append(stores.searches.get(lease.search_id).tenant_id)
        finish(stores, lease.search_id)
    assert turns == ["b", "a", "b", "a", "a"]


def test_of_several_slots_each_tenant_has_its_share(stores: Stores, tenants: dict[str, Stores]) -> None:
    for _ in range(9):
        queue(tenants["a"])
    for name in ("b", "c"):
        queue(tenants[name])
        queue(tenants[name])
    assert Counter(tenant_of_next(stores) for _ in range(6)) == {"a": 2, "b": 2, "c": 2}


def test_a_higher_priority_comes_first_and_within_it_the_tenants_take_turns(
    stores: Stores, tenants: dict[str, Stores]
) -> None:
    low = queue(tenants["c"], -1)
    for name in "aab":
        queue(tenants[name], 2)
    normal = queue(tenants["a"])
    leases = [claim(stores).search_id for _ in range(5)]
    assert [stores.searches.get(search_id).tenant_id for search_id in leases[:3]] == ["a", "b", "a"]
    assert leases[3:] == [normal, low]


def test_a_tenant_runs_no_more_than_it_may_and_its_places_say_so(stores: Stores, tenants: dict[str, Stores]) -> None:
    stores.quotas.set_limits("a", {"running": 2})
    own = [queue(tenants["a"]) for _ in range(4)]
    other = queue(tenants["b"])
    claimed = [claim(stores).search_id for _ in range(3)]
    assert sorted(claimed) == sorted([*own[:2], other])
    assert stores.claims.claim("worker-1") is None
    places = tenants["a"].queue.places(own[2:])
    assert [(places[search_id].position, places[search_id].unknown) for search_id in own[2:]] == [
        (1, KEPT_BACK),
        (2, KEPT_BACK),
    ]
    finish(stores, own[0])
    assert claim(stores).search_id == own[2]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_places_are_the_order_in_which_all_are_claimed(stores: Stores, tenants: dict[str, Stores], seed: int) -> None:
    """Queued at random, with some that run and a tenant that has a limit: a second computation, by claiming."""
    chance = random.Random(seed)
    stores.quotas.set_limits("c", {"running": 3})
    for _ in range(chance.randrange(6)):
        queue(tenants[chance.choice("abc")], chance.choice((0, 0, 1)))
    for _ in range(chance.randrange(4)):
        stores.claims.claim("worker-0")
    queued = [queue(tenants[chance.choice("aabc")], chance.choice((-1, 0, 0, 1))) for _ in range(9)]
    with stores.database.read_scope() as session:
        waiting = list(session.scalars(select(Search.id).where(Search.state == SearchState.QUEUED)))
    assert set(queued) <= set(waiting)
    places = stores.queue.places(waiting)
    claimed = []
    while (lease := stores.claims.claim("worker-1")) is not None:
        claimed.append(lease.search_id)
    expected = sorted(waiting, key=lambda search_id: places[search_id].position)
    assert expected[: len(claimed)] == claimed
    assert [places[search_id].position for search_id in expected] == list(range(1, len(waiting) + 1))
    assert {places[search_id].unknown for search_id in expected[len(claimed) :]} <= {KEPT_BACK}


def claimed_by(stores: Stores, served: Sequence[ResourceClass]) -> str | None:
    lease = stores.claims.claim("worker-1", served)
    return None if lease is None else lease.search_id


def test_a_worker_claims_only_what_it_serves(stores: Stores) -> None:
    of_gpu, of_cpu, of_any = (queue(stores, resource_class=name) for name in ("gpu", "cpu", "any"))
    assert [claimed_by(stores, SERVED_WITHOUT_GPU) for _ in range(3)] == [of_cpu, of_any, None]
    assert stores.searches.get(of_gpu).state is SearchState.QUEUED
    assert [claimed_by(stores, SERVED_BY_GPU) for _ in range(2)] == [of_gpu, None]


def test_queued_searches_are_counted_by_class(stores: Stores) -> None:
    queued = [queue(stores, resource_class=name) for name in ("gpu", "gpu", "any")]
    assert stores.searches.queued_by_class() == {"any": 1, "cpu": 0, "gpu": 2}
    stores.control.cancel(queued[0])
    assert stores.searches.queued_by_class()["gpu"] == 1


def test_the_first_that_was_created_is_next_whichever_class_it_has(stores: Stores) -> None:
    queued = [queue(stores, resource_class=name) for name in ("gpu", "any", "gpu", "any")]
    assert [claimed_by(stores, SERVED_BY_GPU) for _ in range(5)] == [*queued, None]


def test_priorities_count_among_what_a_worker_serves(stores: Stores) -> None:
    of_any, of_cpu, of_gpu = queue(stores), queue(stores, 1, "cpu"), queue(stores, 2, "gpu")
    assert [claimed_by(stores, SERVED_WITHOUT_GPU) for _ in range(3)] == [of_cpu, of_any, None]
    assert claimed_by(stores, SERVED_BY_GPU) == of_gpu


def test_on_one_gpu_a_tenant_with_2_does_not_wait_for_one_with_20_and_no_cpu_worker_helps(
    stores: Stores, tenants: dict[str, Stores]
) -> None:
    for name, count in (("a", 20), ("b", 2)):
        for _ in range(count):
            queue(tenants[name], resource_class="gpu")
    turns = []
    for _ in range(5):
        assert claimed_by(stores, SERVED_WITHOUT_GPU) is None
        search_id = claimed_by(stores, SERVED_BY_GPU)
        assert search_id is not None
        turns.append(stores.searches.get(search_id).tenant_id)
        finish(stores, search_id)
    assert turns == ["a", "b", "a", "b", "a"]


def test_whether_any_is_due_is_asked_by_class(stores: Stores) -> None:
    queue(stores, resource_class="gpu")
    assert stores.claims.any_due(SERVED_BY_GPU)
    assert not stores.claims.any_due(SERVED_WITHOUT_GPU)
    crashed = claimed_by(stores, SERVED_BY_GPU)
    assert crashed is not None
    stores.claims.crashed(Lease(crashed, 1), ExitClass.CRASHED, "boom")
    assert not stores.claims.any_due(SERVED_BY_GPU)  # it is not due yet


def test_places_count_what_may_take_the_same_worker(stores: Stores) -> None:
    queued = [queue(stores, resource_class=name) for name in ("cpu", "gpu", "gpu", "any", "cpu", "any", "gpu")]
    places = stores.queue.places(queued)
    assert [places[search_id].position for search_id in queued] == [1, 1, 2, 4, 3, 6, 5]
    reasons = [places[search_id].unknown for search_id in queued]
    assert reasons[:2] == [OF_ITS_CLASS["cpu"], OF_ITS_CLASS["gpu"]]
    assert reasons[3] == NOT_BEGUN


def test_a_gpu_that_fails_costs_no_crash_and_its_searches_end_only_with_all_attempts(settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"max_attempts": 2, "max_crash_streak": 1}))
    search_id = queue(stores)
    assert stores.claims.device_failed(claim(stores), "its GPU failed: lost") is SearchState.QUEUED
    again = stores.searches.get(search_id)
    assert (again.crash_streak, again.next_run_at <= again.created_at + timedelta(minutes=1)) == (0, True)
    assert stores.claims.device_failed(claim(stores), "its GPU failed: lost") is SearchState.FAILED
    failed = stores.searches.get(search_id)
    assert failed.error is not None
    assert failed.error["type"] == "attempts-exhausted"
    assert "2 attempts were made; no more are allowed: its GPU failed: lost" in failed.error["detail"]
    assert [one.exit_class for one in stores.searches.attempts(search_id)] == [ExitClass.DRAINED] * 2
    stores.close()


@pytest.mark.parametrize(("request_", "state"), [("pause", SearchState.PAUSED), ("cancel", SearchState.CANCELLED)])
def test_a_request_of_the_user_comes_before_a_gpu_that_failed(
    stores: Stores, request_: Literal["pause", "cancel"], state: SearchState
) -> None:
    search_id = queue(stores)
    lease = claim(stores)
    getattr(stores.control, request_)(search_id)
    assert stores.claims.device_failed(lease, "its GPU failed: lost") is state


@pytest.fixture
def long_queue(stores: Stores, tenants: dict[str, Stores]) -> Stores:
    """Ten thousand queued searches of one tenant, of them all but one in twenty for GPUs, and one of another."""
    del tenants
    first = stores.searches.get(queue(stores))
    columns = {column.key: getattr(first, column.key) for column in Search.__mapper__.column_attrs}
    rows = [
        columns
        | {
            "id": f"{number:016x}",
            "tenant_id": "a",
            "created_at": first.created_at + timedelta(seconds=number),
            "resource_class": "any" if number % 20 == 19 else "gpu",
        }
        for number in range(QUEUED)
    ]
    with stores.database.session_scope() as session:
        session.execute(insert(Search), rows)
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("ANALYZE searches"))
    return stores


def claim_recorded(stores: Stores) -> list[tuple[str, Any]]:
    """Claim; returns its statements, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        statements.append((statement, parameters))

    event.listen(stores.database.engine, "before_cursor_execute", record)
    claim(stores)
    event.remove(stores.database.engine, "before_cursor_execute", record)
    return statements


@pytest.mark.long
def test_a_claim_from_a_long_queue_reads_an_index(long_queue: Stores) -> None:
    """The plans of what it reads: no scan of the table, no sort of the queue."""
    reads = [(text, values) for text, values in claim_recorded(long_queue) if "searches" in text.partition("WHERE")[0]]
    selects = [(text, values) for text, values in reads if text.startswith("SELECT")]
    assert len(selects) >= 2
    with long_queue.database.read_scope() as session:
        explain = "EXPLAIN QUERY PLAN " if session.get_bind().dialect.name == "sqlite" else "EXPLAIN ANALYZE "
        for statement, values in selects:
            found = session.connection().exec_driver_sql(explain + statement, values)
            plan = "\n".join(str(tuple(row)) for row in found)
            assert "ix_searches_turns" in plan
            assert re.search(r"Rows Removed by Filter: \d{2,}", plan) is None, plan
            assert re.search(r"SCAN searches(?! USING)|Seq Scan on searches|TEMP B-TREE|Sort", plan) is None, plan


@pytest.mark.long
def test_a_claim_takes_as_many_statements_from_a_long_queue_as_from_a_short_one(
    stores: Stores, long_queue: Stores
) -> None:
    counts = [len(claim_recorded(long_queue)) for _ in range(3)]  # two of them from the long queue
    assert set(counts) == {counts[0]}
    assert counts[0] <= 12
