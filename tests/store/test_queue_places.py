"""Places in the queue, on both databases: they are the order in which searches are claimed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from autonl_core.spec.progress import Progress
from store.db import now
from store.models import Search
from store.queue_places import ANY_MOMENT, NO_ETA, NOT_BEGUN
from store.states import ExitClass
from store.stores import Stores
from tests.store.sample_rows import claim, make_due, queue_search


def positions(stores: Stores, *search_ids: str) -> list[int]:
    places = stores.queue.places(search_ids)
    return [places[search_id].position for search_id in search_ids]


def running(stores: Stores, eta_low_s: float | None) -> str:
    """A search that runs, for at least `eta_low_s` more seconds."""
    queue_search(stores)
    lease = claim(stores)
    stores.updates.progress(lease, Progress("training", 0.5, eta_low_s=eta_low_s, eta_high_s=1000.0))
    return lease.search_id


def test_places_are_the_order_of_claims(stores: Stores) -> None:
    first, second, third = (queue_search(stores) for _ in range(3))
    assert positions(stores, third, first, second) == [3, 1, 2]
    for search_id in (first, second, third):
        assert positions(stores, search_id) == [1]
        assert stores.queue.places([search_id])[search_id].ahead == 0
        assert claim(stores).search_id == search_id
        assert stores.queue.places([search_id]) == {}  # it is not queued any more


def test_one_that_waits_after_a_crash_lets_others_pass_and_is_then_the_first_again(stores: Stores) -> None:
    crashed = queue_search(stores)
    stores.claims.crashed(claim(stores), ExitClass.CRASHED, "boom")
    other = queue_search(stores)
    assert positions(stores, crashed, other) == [2, 1]
    make_due(stores, crashed)
    assert positions(stores, crashed, other) == [1, 2]
    assert claim(stores).search_id == crashed


def test_of_two_that_wait_the_one_that_waits_less_long_is_first(stores: Stores) -> None:
    waiting = [queue_search(stores) for _ in range(2)]
    with stores.database.session_scope() as session:
        for search_id, wait_s in zip(waiting, (500, 100), strict=True):
            due = now(session) + timedelta(seconds=wait_s)
            session.execute(update(Search).where(Search.id == search_id).values(next_run_at=due))
    assert positions(stores, *waiting) == [2, 1]


def test_a_search_may_start_when_the_first_of_those_that_run_may_end(stores: Stores) -> None:
    for eta_low_s in (300.0, 60.0):
        running(stores, eta_low_s)
    waiting = [queue_search(stores) for _ in range(3)]
    places = [stores.queue.places(waiting)[search_id] for search_id in waiting]
    with stores.database.read_scope() as session:
        moment = now(session)
    starts_s = [(place.may_start_at - moment).total_seconds() for place in places[:2] if place.may_start_at is not None]
    assert starts_s == pytest.approx([60, 300], abs=10)
    assert (places[2].may_start_at, places[2].unknown) == (None, NOT_BEGUN)
    assert [place.running for place in places] == [2, 2, 2]


def test_after_a_crash_it_may_not_start_before_it_is_due(stores: Stores) -> None:
    search_id = queue_search(stores)
    stores.claims.crashed(claim(stores), ExitClass.CRASHED, "boom")
    place = stores.queue.places([search_id])[search_id]
    assert place.may_start_at == stores.searches.get(search_id).next_run_at


def test_what_is_not_known_is_said(stores: Stores) -> None:
    search_id = queue_search(stores)
    assert stores.queue.places([search_id])[search_id].unknown == ANY_MOMENT
    stores.control.cancel(search_id)
    running(stores, None)
    waiting = queue_search(stores)
    place = stores.queue.places([waiting])[waiting]
    assert (place.may_start_at, place.unknown) == (None, NO_ETA)


def test_a_search_without_any_progress_yet_has_no_known_end(stores: Stores) -> None:
    queue_search(stores)
    claim(stores)
    waiting = queue_search(stores)
    assert stores.queue.places([waiting])[waiting].unknown == NO_ETA
