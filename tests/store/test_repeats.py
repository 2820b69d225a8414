"""Searches that repeat one, on both databases: queued with it in one transaction, and found from any of them."""

from __future__ import annotations

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.states import SearchState
from store.stores import Stores
from tests.store.sample_rows import CONFIG, claim, kinds


def repeated(count: int) -> SearchConfig:
    return SearchConfig.model_validate(CONFIG.to_json() | {"seed": 5, "repeat": count})


def test_all_of_them_are_queued_at_once_and_run_in_the_order_of_their_seeds(stores: Stores) -> None:
    first, _ = stores.searches.create(repeated(3), DIGITS)
    found = stores.searches.repeats(first.id)
    assert [search.config["seed"] for search in found] == [5, 6, 7]
    assert {search.state for search in found} == {SearchState.QUEUED}
    assert [kinds(stores, search.id) for search in found] == [["created"]] * 3
    assert [claim(stores).search_id for _ in found] == [search.id for search in found]


def test_each_of_them_knows_the_others(stores: Stores) -> None:
    first, _ = stores.searches.create(repeated(3), DIGITS)
    stores.searches.create(repeated(2), DIGITS)
    ids = [search.id for search in stores.searches.repeats(first.id)]
    assert len(ids) == 3
    for search_id in ids:
        assert [search.id for search in stores.searches.repeats(search_id)] == ids


def test_the_same_request_sent_twice_repeats_nothing_more(stores: Stores) -> None:
    for _ in range(2):
        first, _ = stores.searches.create(repeated(2), DIGITS, idempotency_key="k", body_sha256="b")
    assert len(stores.searches.repeats(first.id)) == 2
    assert stores.searches.count_by_state()[SearchState.QUEUED] == 2


def test_one_that_is_cancelled_or_deleted_leaves_the_others_as_they_are(stores: Stores) -> None:
    first, _ = stores.searches.create(repeated(3), DIGITS)
    _, second, third = stores.searches.repeats(first.id)
    stores.control.cancel(first.id)
    stores.searches.delete(first.id)
    assert [search.id for search in stores.searches.repeats(third.id)] == [second.id, third.id]
    assert {search.state for search in stores.searches.repeats(third.id)} == {SearchState.QUEUED}


def test_a_search_that_is_not_repeated_stands_there_without_others(stores: Stores) -> None:
    search, _ = stores.searches.create(CONFIG, DIGITS)
    assert [one.id for one in stores.searches.repeats(search.id)] == [search.id]
