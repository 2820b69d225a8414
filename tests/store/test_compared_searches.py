"""Searches side by side, on both databases: in the order of the request, with what belongs to each."""

from __future__ import annotations

import pytest

from store.errors import NotFound
from store.states import ExitClass
from store.stores import Stores
from tests.store.sample_rows import FILES, architecture, claim, make_due, queue_search, result


def test_searches_have_their_best_architecture_and_the_compute_of_all_attempts(stores: Stores) -> None:
    first = queue_search(stores)
    lease = claim(stores)
    stores.usage.spent(lease, 30.0)
    stores.claims.crashed(lease, ExitClass.CRASHED, "boom")
    make_due(stores, first)
    lease = claim(stores)
    stores.usage.spent(lease, 12.5)
    for seed in (3, 0):  # the first one was the best for a while
        stores.updates.architecture(lease, architecture(seed))
    stores.claims.finish(lease, result(), FILES)
    waiting = queue_search(stores)
    compared = stores.searches.compared([waiting, first])
    assert [each.search.id for each in compared] == [waiting, first]
    assert [each.best and each.best.arch_id for each in compared] == [None, architecture(0).arch_id]
    assert [each.compute_s for each in compared] == [0.0, 42.5]


def test_the_first_search_that_does_not_exist_is_named(stores: Stores) -> None:
    with pytest.raises(NotFound, match="no search 'beef'"):
        stores.searches.compared([queue_search(stores), "beef", "cafe"])
