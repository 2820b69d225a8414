"""Conditions of indexes that hold only some rows, written as the indexes are, so that databases use these.

SQLite uses such an index only if the values are part of the statement, and in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, bindparam

from store.models import Search
from store.states import CLAIMED, FINAL, SearchState


def is_queued() -> ColumnElement[bool]:
    """Whether a search waits for a worker."""
    return Search.state == bindparam(None, SearchState.QUEUED, type_=Search.state.type, literal_execute=True)


def is_claimed() -> ColumnElement[bool]:
    """Whether a search has an owner."""
    return _is_one_of(CLAIMED)


def is_active() -> ColumnElement[bool]:
    """Whether a search has a worker, or waits for one."""
    return _is_one_of((SearchState.QUEUED, *CLAIMED))


def is_unfinished() -> ColumnElement[bool]:
    """Whether a search is in none of the final states: few are, and all of them are found by their states."""
    return _is_one_of(set(SearchState) - FINAL)


def _is_one_of(states: Iterable[SearchState]) -> ColumnElement[bool]:
    values = bindparam(None, sorted(states), type_=Search.state.type, expanding=True, literal_execute=True)
    return Search.state.in_(values)
