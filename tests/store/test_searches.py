"""Searches as users see them, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.errors import IdempotencyConflict, NotFound, PageTokenError, StateConflict
from store.search_lists import SearchFilter
from store.states import SearchState
from store.stores import Stores
from tests.store.sample_rows import CONFIG, FILES, claim, kinds, queue_search, result


def test_a_new_search_is_queued_and_read_back_as_requested(stores: Stores) -> None:
    search = stores.searches.get(queue_search(stores))
    assert search.state is SearchState.QUEUED
    assert SearchConfig.model_validate(search.config) == CONFIG
    assert search.dataset_spec == DIGITS.to_json()
    assert search.created_at.utcoffset() == timedelta(0)
    assert kinds(stores, search.id) == ["created"]


def test_an_unknown_search_is_named(stores: Stores) -> None:
    with pytest.raises(NotFound, match="'nope'"):
        stores.searches.get("nope")


def test_the_same_request_twice_is_one_search(stores: Stores) -> None:
    first, created = stores.searches.create(CONFIG, DIGITS, idempotency_key="k", body_sha256="a")
    again, created_again = stores.searches.create(CONFIG, DIGITS, idempotency_key="k", body_sha256="a")
    assert (created, created_again) == (True, False)
    assert again.id == first.id


def test_ten_concurrent_identical_requests_create_one_search(stores: Stores) -> None:
    def create(_: int) -> tuple[str, bool]:
        search, created = stores.searches.create(CONFIG, DIGITS, idempotency_key="k", body_sha256="a")
        return search.id, created

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(create, range(10)))
    assert len({search_id for search_id, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1
    assert len(stores.searches.list(SearchFilter()).searches) == 1


def test_a_key_with_a_different_body_is_refused(stores: Stores) -> None:
    stores.searches.create(CONFIG, DIGITS, idempotency_key="k", body_sha256="a")
    with pytest.raises(IdempotencyConflict, match="different body"):
        stores.searches.create(CONFIG, DIGITS, idempotency_key="k", body_sha256="b")


def test_pages_list_every_search_once_newest_first(stores: Stores) -> None:
    created = [queue_search(stores) for _ in range(7)]
    listed, token = [], None
    while True:
        page = stores.searches.list(SearchFilter(), page_size=3, page_token=token)
        listed += [search.id for search in page.searches]
        token = page.next_page_token
        if token is None:
            break
        queue_search(stores)  # a search created in between must not shift the pages
    assert listed == created[::-1]


def test_filters_select_by_state_dataset_and_time(stores: Stores) -> None:
    early, late = queue_search(stores), queue_search(stores)
    stores.control.cancel(early)

    def listed(**wanted: object) -> list[str]:
        return [search.id for search in stores.searches.list(SearchFilter(**wanted)).searches]  # type: ignore[arg-type]

    assert listed(state=SearchState.CANCELLED) == [early]
    assert listed(dataset="digits") == [late, early]
    assert listed(dataset="other") == []
    assert listed(created_after=stores.searches.get(early).created_at) == [late]


@pytest.mark.parametrize("token", ["", "x", "e30", "WzEsMiwzXQ", "\u00e9", "A" * 5000])
def test_a_damaged_page_token_is_refused(stores: Stores, token: str) -> None:
    with pytest.raises(PageTokenError, match="malformed"):
        stores.searches.list(SearchFilter(), page_token=token)


def test_a_page_token_belongs_to_its_filter(stores: Stores) -> None:
    for _ in range(3):
        queue_search(stores)
    token = stores.searches.list(SearchFilter(), page_size=1).next_page_token
    with pytest.raises(PageTokenError, match="another filter"):
        stores.searches.list(SearchFilter(state=SearchState.QUEUED), page_token=token)


def test_counts_include_every_state(stores: Stores) -> None:
    queue_search(stores)
    counts = stores.searches.count_by_state()
    assert counts[SearchState.QUEUED] == 1
    assert set(counts) == set(SearchState)


class TestDelete:
    def test_a_final_search_is_deleted_with_all_its_rows(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        stores.claims.finish(claim(stores), result(), FILES)
        stores.searches.delete(search_id)
        assert stores.events.after(search_id) == []
        assert stores.architectures.artifacts(search_id) == []

    def test_a_running_search_stays(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        claim(stores)
        with pytest.raises(StateConflict, match="cancel it first"):
            stores.searches.delete(search_id)
