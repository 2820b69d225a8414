"""Limits of tenants, and their usage by day, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from autonl_core.datasets.spec import DIGITS
from store.errors import ComputeSpent, NotFound, QuotaExceeded
from store.models import Search
from store.quotas import _periods, _seconds_until
from store.states import ExitClass, SearchState, StopReason
from store.stores import Stores
from store.tenant_rows import Usage
from tests.store.sample_rows import CONFIG, FILES, claim, kinds, make_due, queue_search, result


@pytest.fixture
def tenant(stores: Stores) -> Stores:
    """The stores of a tenant that is not the default one."""
    stores.tenants.create("a")
    return stores.of_tenant("a")


def refusal(tenant: Stores, **changes: object) -> QuotaExceeded:
    """What a search is refused with; nothing is stored."""
    with tenant.database.read_scope() as session:
        before = session.scalar(select(func.count()).select_from(Search)), session.scalars(select(Usage)).all()
    with pytest.raises(QuotaExceeded) as refused:
        tenant.searches.create(CONFIG.model_copy(update=changes), DIGITS)
    with tenant.database.read_scope() as session:
        after = session.scalar(select(func.count()).select_from(Search)), session.scalars(select(Usage)).all()
    assert [before[0], [day.searches for day in before[1]]] == [after[0], [day.searches for day in after[1]]]
    return refused.value


def spend(stores: Stores, tenant: Stores, compute_s: float) -> str:
    """Let a search of the tenant run for so long, and succeed."""
    search_id = queue_search(tenant)
    lease = claim(stores)
    stores.usage.spent(lease, compute_s)
    stores.claims.finish(lease, result(), FILES)
    return search_id


class TestLimits:
    def test_without_any_there_is_no_refusal(self, tenant: Stores) -> None:
        for _ in range(3):
            queue_search(tenant)
        assert tenant.quotas.limits().queued == 0

    def test_own_ones_come_before_those_of_the_settings(self, stores: Stores, tenant: Stores) -> None:
        stores.quotas.set_limits("a", {"queued": 5, "running": 2})
        stores.quotas.set_limits("a", {"running": None})
        assert (tenant.quotas.limits().queued, tenant.quotas.limits().running) == (5, 0)
        assert stores.quotas.own_limits("a") == {"queued": 5}
        assert stores.quotas.limits().queued == 0  # the default tenant has none

    def test_one_out_of_range_or_of_no_tenant_is_refused(self, stores: Stores, tenant: Stores) -> None:
        with pytest.raises(ValueError, match="queued"):
            stores.quotas.set_limits("a", {"queued": -1})
        with pytest.raises(NotFound, match="nobody-is-called-so"):
            stores.quotas.set_limits("nobody-is-called-so", {"queued": 1})
        assert stores.quotas.own_limits("a") == {}
        del tenant


class TestRefusals:
    def test_queued(self, stores: Stores, tenant: Stores) -> None:
        """Two of three are queued: two repeats are one too many, one search is not."""
        stores.quotas.set_limits("a", {"queued": 3})
        queue_search(tenant)
        queue_search(tenant)
        refused = refusal(tenant, repeat=2)
        assert (refused.quota, refused.value, refused.limit, refused.retry_after_s) == ("queued", 4, 3, 60)
        queue_search(tenant)
        queue_search(stores)  # of another tenant
        claim(stores)
        queue_search(tenant)  # one runs and is queued no longer

    def test_a_repeated_request_is_answered_and_not_refused(self, stores: Stores, tenant: Stores) -> None:
        stores.quotas.set_limits("a", {"queued": 1})
        search_id = queue_search(tenant, idempotency_key="k", body_sha256="b")
        assert queue_search(tenant, idempotency_key="k", body_sha256="b") == search_id

    def test_resuming_queues_too(self, stores: Stores, tenant: Stores) -> None:
        stores.quotas.set_limits("a", {"queued": 1})
        search_id = queue_search(tenant)
        tenant.control.cancel(search_id)
        queue_search(tenant)
        with pytest.raises(QuotaExceeded):
            tenant.control.resume(search_id)
        assert tenant.searches.get(search_id).state is SearchState.CANCELLED

    def test_priority(self, stores: Stores, tenant: Stores) -> None:
        stores.quotas.set_limits("a", {"priority": 0})
        refused = refusal(tenant, priority=1)
        assert (refused.quota, refused.value, refused.limit, refused.retry_after_s) == ("priority", 1, 0, None)

    def test_stored_bytes(self, stores: Stores, tenant: Stores) -> None:
        spend(stores, tenant, 1)
        stored = sum(file.size_bytes for file in FILES.values())
        assert tenant.quotas.now() == {"queued": 0, "running": 0, "stored_bytes": stored}
        stores.quotas.set_limits("a", {"stored_bytes": stored})
        refused = refusal(tenant)
        assert (refused.quota, refused.value, refused.limit) == ("stored_bytes", stored, stored)
        stores.quotas.set_limits("a", {"stored_bytes": stored + 10})
        tenant.quotas.require_room_for(10)
        with pytest.raises(QuotaExceeded, match="delete"):
            tenant.quotas.require_room_for(11)
        stores.quotas.require_room_for(1 << 40)  # the default tenant

    @pytest.mark.parametrize("quota", ["compute_s_per_day", "compute_s_per_month"])
    def test_compute(self, stores: Stores, tenant: Stores, quota: str) -> None:
        stores.quotas.set_limits("a", {quota: 100})
        spend(stores, tenant, 99.5)
        waiting = queue_search(tenant)
        lease = claim(stores)
        stores.usage.spent(lease, 0.5)
        refused = refusal(tenant)
        assert (refused.quota, refused.value, refused.limit) == (quota, 100, 100)
        assert refused.retry_after_s is not None
        stores.claims.gave_back(lease)
        assert stores.claims.claim("worker-1") is None  # what is queued waits
        stores.quotas.set_limits("a", {quota: 101})
        assert claim(stores).search_id == waiting


def test_periods_of_compute_end_at_midnight_and_with_the_month() -> None:
    """At 23:59:30 on 31 December, half a minute is left of both; on 1 February, 28 days of the month."""
    end_of_year = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)
    assert [_seconds_until(end, end_of_year) for _, _, end in _periods(end_of_year)] == [31, 31]
    first_of_february = datetime(2026, 2, 1, tzinfo=UTC)
    ends = [end for _, _, end in _periods(first_of_february)]
    assert [end - first_of_february for end in ends] == [timedelta(days=1), timedelta(days=28)]


class TestUsage:
    def test_compute_is_counted_once_however_often_it_is_reported(self, stores: Stores, tenant: Stores) -> None:
        """Beats, the end, a repeated and a late report of 7.5 s: 7.5 s."""
        queue_search(tenant)
        lease = claim(stores)
        stores.claims.beat(lease, 2.0)
        stores.claims.beat(lease, 5.0)
        stores.usage.spent(lease, 7.5)
        stores.usage.spent(lease, 7.5)
        stores.claims.beat(lease, 3.0)
        (day,) = tenant.usage.days(tenant.usage.today(), tenant.usage.today())
        assert (day.compute_s, day.searches, day.added_bytes) == (7.5, 1, 0)
        assert stores.searches.attempts(lease.search_id)[0].compute_s == 7.5

    def test_attempts_add_up_also_one_that_lost_its_lease(self, stores: Stores, tenant: Stores) -> None:
        search_id = queue_search(tenant)
        first = claim(stores)
        stores.claims.beat(first, 4.0)
        stores.claims.crashed(first, ExitClass.KILLED, "killed")
        make_due(stores, search_id)
        second = claim(stores)
        stores.claims.beat(second, 1.0)
        stores.usage.spent(first, 6.0)  # what its supervisor saw last
        (day,) = tenant.usage.days(tenant.usage.today(), tenant.usage.today())
        assert day.compute_s == 7.0

    def test_it_is_the_tenants_own(self, stores: Stores, tenant: Stores) -> None:
        spend(stores, tenant, 3)
        today = tenant.usage.today()
        assert list(stores.of_tenant("default").usage.days(today, today)) == []
        (day,) = tenant.usage.days(today, today)
        assert (day.compute_s, day.added_bytes) == (3.0, sum(file.size_bytes for file in FILES.values()))


class TestCeiling:
    def test_what_is_left_counts_all_attempts_but_the_current_one(self, stores: Stores) -> None:
        search_id = queue_search_with(stores, 100)
        first = claim(stores)
        assert stores.usage.compute_left_s(first) == 100
        stores.claims.beat(first, 30.0)
        assert stores.usage.compute_left_s(first) == 100
        stores.claims.gave_back(first)
        second = claim(stores)
        assert stores.usage.compute_left_s(second) == 70
        assert second.search_id == search_id

    def test_a_spent_search_ends_and_goes_on_only_with_more(self, stores: Stores) -> None:
        search_id = queue_search_with(stores, 100)
        lease = claim(stores)
        stores.usage.spent(lease, 100.5)
        assert stores.claims.spent(lease, "it has used what it may use") is SearchState.CANCELLED
        search = stores.searches.get(search_id)
        assert (search.stop_reason, search.error) == (StopReason.BUDGET_SPENT, None)
        assert kinds(stores, search_id)[-2:] == ["budget_spent", "cancelled"]
        for more_s in (None, 100.0, 100.5):
            with pytest.raises(ComputeSpent, match=r"100\.5 of the 100\.[05] CPU seconds"):
                stores.control.resume(search_id, max_compute_s=more_s)
        assert stores.searches.get(search_id).config["max_compute_s"] == 100
        resumed = stores.control.resume(search_id, max_compute_s=150.0)
        assert (resumed.state, resumed.config["max_compute_s"]) == (SearchState.QUEUED, 150)
        assert stores.usage.compute_left_s(claim(stores)) == 49.5

    def test_a_cancel_that_came_first_wins(self, stores: Stores) -> None:
        search_id = queue_search_with(stores, 100)
        lease = claim(stores)
        stores.control.cancel(search_id)
        assert stores.claims.spent(lease, "spent") is SearchState.CANCELLED
        assert stores.searches.get(search_id).stop_reason is StopReason.CANCELLED

    def test_without_one_there_is_no_limit(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        with stores.database.session_scope() as session:  # as an earlier version stored it
            old = {key: value for key, value in CONFIG.to_json().items() if key != "max_compute_s"}
            session.execute(update(Search).where(Search.id == search_id).values(config=old))
        assert stores.usage.compute_left_s(claim(stores)) is None


def queue_search_with(stores: Stores, max_compute_s: float) -> str:
    return stores.searches.create(CONFIG.model_copy(update={"max_compute_s": max_compute_s}), DIGITS)[0].id
