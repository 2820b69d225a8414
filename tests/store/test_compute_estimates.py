"""Estimates of compute from what earlier searches took, on both databases, by numbers worked by hand."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.artifacts import StoredFile
from store.compute_estimates import ComputeEstimate, Took, estimate_from
from store.models import Search
from store.stores import Stores
from tests.store.sample_rows import CONFIG, claim, make_due, result


def ran(stores: Stores, owner: Stores, compute_s: float, **changes: Any) -> str:
    """A search of `owner` that took so long and succeeded; returns its id."""
    search, _ = owner.searches.create(CONFIG.model_copy(update=changes), DIGITS)
    finish(stores, compute_s)
    return search.id


def finish(stores: Stores, compute_s: float) -> None:
    lease = claim(stores)
    stores.usage.spent(lease, compute_s)
    checkpoint = StoredFile(f"{lease.search_id}/model.safetensors", "0" * 64, 10)
    stores.claims.finish(lease, result(), {"safetensors": checkpoint})


def estimate(stores: Stores, **changes: Any) -> ComputeEstimate | str:
    return stores.compute_estimates.estimate(CONFIG.model_copy(update=changes), DIGITS)


def known(stores: Stores, **changes: Any) -> tuple[float, float, int]:
    found = estimate(stores, **changes)
    assert isinstance(found, ComputeEstimate), found
    return found.low, found.high, found.searches


@pytest.fixture
def tenant(stores: Stores) -> Stores:
    stores.tenants.create("a")
    return stores.of_tenant("a")


def test_of_one_search_it_is_within_a_factor_of_two(stores: Stores, tenant: Stores) -> None:
    ran(stores, tenant, 100.0)
    assert known(tenant) == pytest.approx((50, 200, 1))


def test_of_several_it_is_their_range_and_a_fifth(stores: Stores, tenant: Stores) -> None:
    for compute_s in (100.0, 200.0, 150.0):
        ran(stores, tenant, compute_s)
    assert known(tenant) == pytest.approx((80, 240, 3))


def test_it_grows_with_the_budget_and_with_repeats(stores: Stores, tenant: Stores) -> None:
    """Of 100 s, 25 s are not work: half the MACs take 25 + 75 / 2 s, each of four times."""
    ran(stores, tenant, 100.0)
    assert known(tenant, flops_budget=200_000, repeat=4) == pytest.approx((125, 500, 1))


def test_all_attempts_of_a_search_count(stores: Stores, tenant: Stores) -> None:
    search, _ = tenant.searches.create(CONFIG, DIGITS)
    lease = claim(stores)
    stores.usage.spent(lease, 30.0)
    stores.claims.gave_back(lease)
    make_due(stores, search.id)
    finish(stores, 70.0)
    assert known(tenant) == pytest.approx((50, 200, 1))


def test_searches_of_other_kinds_and_without_counted_compute_say_nothing(stores: Stores, tenant: Stores) -> None:
    ran(stores, tenant, 100.0, search_space="mobile-32")
    ran(stores, tenant, 100.0, algorithm="autonl-paper")
    ran(stores, tenant, 100.0, init="efficientnet-lite0", search_space="tiny")
    ran(stores, tenant, 0.0)
    tenant.searches.create(CONFIG, DIGITS)
    failed = claim(stores)
    stores.usage.spent(failed, 100.0)
    stores.claims.fail(failed, "diverged", "no finite loss")
    unknown = estimate(tenant)
    assert isinstance(unknown, str)
    assert "from random weights in space 'tiny' by 'autonl'" in unknown
    assert known(tenant, search_space="mobile-32") == pytest.approx((50, 200, 1))


def test_what_another_version_stored_says_nothing(stores: Stores, tenant: Stores) -> None:
    search_id = ran(stores, tenant, 100.0)
    with stores.database.session_scope() as session:
        later = CONFIG.to_json() | {"added_later": 1}
        session.execute(update(Search).where(Search.id == search_id).values(config=later))
    assert isinstance(estimate(tenant), str)


def test_no_other_tenant_is_learned_from(stores: Stores, tenant: Stores) -> None:
    ran(stores, tenant, 100.0)
    assert isinstance(estimate(stores.of_tenant("default")), str)
    ran(stores, stores.of_tenant("default"), 10.0)
    assert known(stores.of_tenant("default")) == pytest.approx((5, 20, 1))
    assert known(tenant) == pytest.approx((50, 200, 1))


def test_only_the_newest_twenty_count(stores: Stores, tenant: Stores) -> None:
    for compute_s in (1000.0, *[100.0] * 20):
        ran(stores, tenant, compute_s)
    assert known(tenant) == pytest.approx((80, 120, 20))


def test_searches_of_other_lengths_are_compared_by_their_work(stores: Stores, tenant: Stores) -> None:
    """Training that dominates is eight times the work with four times the budget, twice as long: 25 + 8 x 75 s."""
    long = SearchConfig.model_validate({"dataset": "digits", "flops_budget": 100_000, "train": {"epochs": 5_000}})
    ran(stores, tenant, 100.0, flops_budget=long.flops_budget, train=long.train)
    longer = long.train.model_copy(update={"epochs": 10_000})
    assert known(tenant, train=longer) == pytest.approx((312.5, 1250, 1), rel=0.01)


def test_what_a_search_takes_besides_its_work_is_at_most_three_quarters_of_it() -> None:
    """Of 20 s, 15 s; so eight times the work takes 15 + 8 x 5 s."""
    assert Took(20.0, work=1e9).predict(8e9, searches=1) == pytest.approx(55)
    assert Took(20.0, work=1e9).predict(8e9, searches=2) == pytest.approx(70)


def test_searches_with_much_more_or_less_work_do_not_count_beside_near_ones() -> None:
    near, larger, far = Took(125.0, 4e9), Took(225.0, 8e9), Took(10_000.0, 100e9)
    assert estimate_from([near, far], 4e9, 1) == ComputeEstimate(62.5, 250.0, 1)
    assert estimate_from([far, near, larger], 4e9, 1) == ComputeEstimate(100.0, 150.0, 2)  # 125 s by both
    assert estimate_from([far], 4e9, 1) == ComputeEstimate(
        212.0, 848.0, 1
    )  # 25 + 9975 / 25 s: the nearest that there is


def test_the_nearest_of_a_repeated_search_are_those_near_one_of_its_searches() -> None:
    single, as_much_as_all = Took(125.0, 1e9), Took(425.0, 16e9)
    assert estimate_from([single, as_much_as_all], 16e9, 16) == ComputeEstimate(1000.0, 4000.0, 1)
