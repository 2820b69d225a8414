"""Writes that are wanted only if a row is still what its reader saw: checked under the lock that the write takes."""

from __future__ import annotations

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from store.errors import SearchChanged
from store.leases import lock_row
from store.models import Search


def require_unchanged(session: Session, search_id: str, seen: Search | None) -> None:
    """Lock the row of a search, and compare it with `seen`; None: whatever it is now is wanted.

    Raises:
        SearchChanged: another transaction changed or deleted it since it was read.
    """
    if seen is None:
        return
    search = lock_row(session, Search.id == search_id)
    if search is None or _values(search) != _values(seen):
        raise SearchChanged(f"search {search_id} was changed after it was read")


def _values(search: Search) -> dict[str, object]:
    """Every column of the row that a client can see the effect of."""
    keys = (column.key for column in inspect(Search).column_attrs)
    return {key: getattr(search, key) for key in keys if key != Search.announced_seq.key}
