"""Searches for the other budgets of a search, on both databases: queued once, and on their own from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.errors import StateConflict
from store.leases import Lease
from store.states import ExitClass, SearchState
from store.stores import Stores
from tests.store.sample_rows import CONFIG, FILES, claim, kinds, result
from tests.store.test_supernets import keep

BUDGETS = [400_000, 300_000, 500_000]


@pytest.fixture
def first(stores: Stores) -> str:
    """A queued search with three budgets."""
    config = SearchConfig.model_validate(CONFIG.to_json() | {"flops_budget": BUDGETS[0], "flops_budgets": BUDGETS})
    return stores.searches.create(config, DIGITS)[0].id


def budgets(stores: Stores, search_id: str) -> list[tuple[int, SearchState]]:
    found = stores.searches.of_all_budgets(stores.searches.get(search_id))
    return [(search.config["flops_budget"], search.state) for search in found]


def test_they_are_queued_when_the_supernet_is_kept(stores: Stores, first: str, tmp_path: Path) -> None:
    lease = claim(stores)
    assert budgets(stores, first) == [(400_000, SearchState.RUNNING)]
    keep(stores, lease, tmp_path)
    queued = SearchState.QUEUED
    assert budgets(stores, first) == [(400_000, SearchState.RUNNING), (300_000, queued), (500_000, queued)]
    assert kinds(stores, first)[-3:] == ["supernet_kept", "budget_queued", "budget_queued"]
    _, other, _ = stores.searches.of_all_budgets(stores.searches.get(first))
    assert kinds(stores, other.id) == ["created"]
    assert other.config["parent"] == first
    assert other.dataset_spec == stores.searches.get(first).dataset_spec
    assert budgets(stores, other.id) == budgets(stores, first)


def test_an_attempt_that_keeps_it_again_queues_none_twice(stores: Stores, first: str, tmp_path: Path) -> None:
    lease = claim(stores)
    keep(stores, lease, tmp_path)
    stores.claims.crashed(lease, ExitClass.CRASHED, "killed")
    before = budgets(stores, first)
    with stores.database.session_scope() as session:
        session.get_one(type(stores.searches.get(first)), first).next_run_at = stores.searches.get(first).created_at
    again = claim(stores)
    assert again.search_id == first
    keep(stores, again, tmp_path)
    assert len(budgets(stores, first)) == len(before) == 3


def test_they_outlive_a_first_search_that_is_cancelled(stores: Stores, first: str, tmp_path: Path) -> None:
    keep(stores, claim(stores), tmp_path)
    stores.control.cancel(first)
    stores.claims.cancelled(_lease_of(stores, first))
    other = claim(stores)
    stores.supernets.fetch(first, tmp_path / "copy")
    stores.claims.finish(other, result(), FILES)
    states = [state for _, state in budgets(stores, first)]
    assert states == [SearchState.CANCELLED, SearchState.SUCCEEDED, SearchState.QUEUED]


def test_the_first_cannot_be_deleted_while_they_need_its_supernet(stores: Stores, first: str, tmp_path: Path) -> None:
    lease = claim(stores)
    keep(stores, lease, tmp_path)
    stores.claims.finish(lease, result(), FILES)
    with pytest.raises(StateConflict, match=f"goes on from search {first}"):
        stores.searches.delete(first)


def test_later_searches_from_the_same_one_are_not_among_them(stores: Stores, first: str, tmp_path: Path) -> None:
    lease = claim(stores)
    keep(stores, lease, tmp_path)
    stores.claims.finish(lease, result(), FILES)
    later = SearchConfig.model_validate(CONFIG.to_json() | {"parent": first})
    search, _ = stores.searches.create(later, DIGITS)
    assert stores.searches.of_all_budgets(search) == []
    assert len(budgets(stores, first)) == 3


def _lease_of(stores: Stores, search_id: str) -> Lease:
    return Lease(search_id, stores.searches.get(search_id).fence)
