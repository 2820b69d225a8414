"""The guarantees of transactions on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from store.db import Database, now
from store.models import Metric, Search
from store.stores import Stores
from tests.store.sample_rows import queue_search

WRITERS, WRITES = 4, 5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_on_sqlite_transactions_that_read_before_they_write_wait_for_each_other(stores: Stores) -> None:
    """If the lock were taken at the first write, some of them would fail as busy, whatever the timeout."""
    search_id = queue_search(stores)

    def write(_: int) -> None:
        for _ in range(WRITES):
            with stores.database.session_scope() as session:
                search = session.get_one(Search, search_id)
                time.sleep(0.002)  # time for the others to read the same value
                search.saved_step += 1

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    assert stores.searches.get(search_id).saved_step == WRITERS * WRITES


def test_an_exception_rolls_everything_back(stores: Stores) -> None:
    search_id = queue_search(stores)

    def fail() -> None:
        with stores.database.session_scope() as session:
            session.get_one(Search, search_id).saved_step = 7
            session.flush()
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert stores.searches.get(search_id).saved_step == 0


def test_changes_in_a_read_only_transaction_are_discarded(stores: Stores) -> None:
    search_id = queue_search(stores)
    with stores.database.read_scope() as session:
        session.get_one(Search, search_id).saved_step = 7
    assert stores.searches.get(search_id).saved_step == 0


def test_the_database_s_clock_is_in_utc_and_advances_inside_a_transaction(stores: Stores) -> None:
    with stores.database.session_scope() as session:
        first, second = now(session), now(session)
    assert second > first
    assert abs((datetime.now(UTC) - first).total_seconds()) < 60


def test_the_error_about_an_unsupported_database_lists_the_supported_ones() -> None:
    with pytest.raises(ValueError, match=r"names 'mysql'; use sqlite.* or postgresql"):
        Database("mysql://host/name")


def test_foreign_keys_are_enforced(stores: Stores) -> None:
    orphan = Metric(search_id="nope", seq=1, fence=1, phase="x", epoch=1, at=datetime.now(UTC), values={})
    with pytest.raises(IntegrityError), stores.database.session_scope() as session:
        session.add(orphan)
