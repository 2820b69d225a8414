"""Repairs, on both databases: stale attempts end, live ones continue, workers are notified of queued searches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from autonl_core.datasets.spec import DIGITS
from store.claims import LeaseStatus
from store.db import now
from store.models import Search
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores
from store.sweeps import Swept
from tests.store.sample_rows import CONFIG, claim, expire, kinds, queue_search


def test_an_attempt_that_beats_is_not_swept(stores: Stores) -> None:
    queue_search(stores)
    claim(stores)
    assert stores.sweeps.sweep() == []


def test_a_stale_attempt_ends_and_its_search_is_queued_again(stores: Stores) -> None:
    search_id = queue_search(stores)
    lease = claim(stores, "worker-1")
    expire(stores, lease)
    assert stores.sweeps.sweep() == [Swept(lease, SearchState.QUEUED)]
    (attempt,) = stores.searches.attempts(search_id)
    assert (attempt.exit_class, attempt.detail) == (ExitClass.LEASE_LOST, "no beat from worker-1 for 60 s")
    assert kinds(stores, search_id) == ["created", "claimed", "requeued"]
    assert stores.sweeps.sweep() == []  # each attempt is swept once


def test_the_lease_of_a_claim_without_a_beat_counts_from_the_claim(stores: Stores) -> None:
    search_id = queue_search(stores)
    lease = claim(stores)
    with stores.database.session_scope() as session:
        long_ago = now(session) - timedelta(hours=1)
        session.execute(update(Search).where(Search.id == search_id).values(lease_until=None, claimed_at=long_ago))
    assert stores.sweeps.sweep() == [Swept(lease, SearchState.QUEUED)]


def test_a_beat_that_comes_just_before_the_repair_keeps_the_lease(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_search(stores)
    lease = claim(stores)
    expire(stores, lease)
    read_scope = stores.database.read_scope

    @contextmanager
    def read_and_then_beat() -> Iterator[Session]:
        with read_scope() as session:
            yield session
        stores.claims.beat(lease)

    with monkeypatch.context() as patch:
        patch.setattr(stores.database, "read_scope", read_and_then_beat)
        assert stores.sweeps.sweep() == []
    assert stores.claims.beat(lease) is LeaseStatus.HELD


def test_a_stale_attempt_of_a_cancelling_search_ends_cancelled(stores: Stores) -> None:
    search_id = queue_search(stores)
    lease = claim(stores)
    stores.control.cancel(search_id)
    expire(stores, lease)
    assert stores.sweeps.sweep() == [Swept(lease, SearchState.CANCELLED)]


def test_a_search_whose_workers_keep_falling_silent_fails_in_the_end(stores: Stores, settings: Settings) -> None:
    search_id = queue_search(stores)
    for _ in range(settings.max_interruptions):
        assert stores.searches.get(search_id).state is SearchState.QUEUED
        expire(stores, claim(stores))
        stores.sweeps.sweep()
    search = stores.searches.get(search_id)
    assert search.state is SearchState.FAILED
    assert search.error is not None
    assert search.error["type"] == "interrupted"
    assert "no beat from worker-1 for 60 s" in search.error["detail"]


def test_notifications_of_a_queued_search_are_repeated_less_and_less_often(stores: Stores, settings: Settings) -> None:
    search_id = queue_search(stores)

    def due_after(seconds: float) -> int:
        with stores.database.session_scope() as session:
            then = now(session) - timedelta(seconds=seconds)
            session.execute(update(Search).where(Search.id == search_id).values(last_rung_at=then))
        return stores.sweeps.due_notifications().total()

    assert stores.sweeps.due_notifications().total() == 1
    assert stores.sweeps.due_notifications().total() == 0
    assert due_after(settings.ring_s + 1) == 1
    assert due_after(settings.ring_s + 1) == 0
    assert due_after(2 * settings.ring_s + 1) == 1
    for _ in range(20):
        assert due_after(settings.ring_max_s + 1) == 1


def test_notifications_are_counted_by_resource_class(stores: Stores) -> None:
    for resource_class in ("gpu", "any", "gpu"):
        stores.searches.create(CONFIG.model_copy(update={"resource_class": resource_class}), DIGITS)
    assert stores.sweeps.due_notifications() == {"gpu": 2, "any": 1}


def test_there_is_no_notification_of_a_search_that_is_not_due(stores: Stores) -> None:
    queue_search(stores)
    stores.claims.crashed(claim(stores), ExitClass.CRASHED, "boom")
    assert stores.sweeps.due_notifications().total() == 0


def test_oldest_wait_s_is_the_longest_wait_of_a_due_search(stores: Stores) -> None:
    assert stores.sweeps.oldest_wait_s() == 0
    search_id = queue_search(stores)
    with stores.database.session_scope() as session:
        then = now(session) - timedelta(seconds=100)
        session.execute(update(Search).where(Search.id == search_id).values(next_run_at=then))
    assert 100 <= stores.sweeps.oldest_wait_s() < 110
