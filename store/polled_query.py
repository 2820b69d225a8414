"""Asking again and again whether there is work, at next to no cost while there is none."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select

from store.db import Database


class PolledQuery:
    """Whether a query finds a row. One that found none is not sent again before anything has been committed.

    That is known on SQLite, which an idle service polls once a second in two processes. PostgreSQL is asked each time.
    """

    def __init__(self, database: Database, query: Select[Any]) -> None:
        self._database = database
        self._query = query.limit(1)
        self._found_none_at: int | None = None

    def finds_any(self) -> bool:
        version = self._database.version()  # before the query: a commit between the two is noticed by the next call
        if version is not None and version == self._found_none_at:
            return False
        with self._database.read_scope() as session:
            found = session.execute(self._query).first() is not None
        self._found_none_at = None if found else version
        return found
