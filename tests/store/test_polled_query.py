"""Asking for work again and again: nothing is missed, and on SQLite nothing is asked twice in vain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select

from store.db import Database
from store.models import Search
from store.polled_query import PolledQuery
from store.states import SearchState
from store.stores import Stores
from tests.store.sample_rows import claim, queue_search

QUEUED = select(Search.id).where(Search.state == SearchState.QUEUED)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are sent while the context is open."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine, "before_cursor_execute", note)


def test_it_finds_what_was_committed_since_it_found_nothing(stores: Stores) -> None:
    other = Database(stores.settings.resolved_database_url)
    polled = PolledQuery(other, QUEUED)
    assert not polled.finds_any()
    assert not polled.finds_any()
    for _ in range(2):
        queue_search(stores)
        assert polled.finds_any()
        assert polled.finds_any()
        claim(stores)
        assert not polled.finds_any()
    other.close()


def test_it_finds_what_its_own_database_object_commits(stores: Stores) -> None:
    polled = PolledQuery(stores.database, QUEUED)
    assert not polled.finds_any()
    queue_search(stores)
    assert polled.finds_any()


def test_a_transaction_that_is_not_committed_yet_is_not_missed_later(stores: Stores) -> None:
    search_id = queue_search(stores)
    other = Database(stores.settings.resolved_database_url)
    polled = PolledQuery(other, select(Search.id).where(Search.saved_step == 7))
    with stores.database.session_scope() as session:
        session.get_one(Search, search_id).saved_step = 7
        session.flush()
        assert not polled.finds_any()
    assert polled.finds_any()
    other.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_on_sqlite_it_is_not_sent_again_until_something_is_committed(stores: Stores) -> None:
    other = Database(stores.settings.resolved_database_url)
    polled = PolledQuery(other, QUEUED)
    assert not polled.finds_any()
    with statements(other) as sent:
        assert not any(polled.finds_any() for _ in range(5))
        assert sent == []
        queue_search(stores)
        assert polled.finds_any()
        assert [statement for statement in sent if "SELECT" in statement] != []
    other.close()
