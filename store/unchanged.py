"""Writes that are wanted only if a search is still what its reader saw: its version is compared by the write itself."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.errors import NotFound, SearchChanged
from store.leases import lock_row
from store.models import Search


def lock_search(session: Session, search_id: str, versions: Collection[int] | None = None) -> Search:
    """The row of a search, locked against other writers until the transaction ends.

    Args:
        versions: one of them must be its version; None: any.

    Raises:
        NotFound: no such search.
        SearchChanged: it has another version.
    """
    conditions = (
        [Search.id == search_id] if versions is None else [Search.id == search_id, Search.version.in_(versions)]
    )
    search = lock_row(session, *conditions)
    if search is not None:
        return search
    if session.execute(select(Search.id).where(Search.id == search_id)).first() is None:
        raise unknown_search(search_id)
    raise SearchChanged(f"search {search_id} was changed after it was read")


def unknown_search(search_id: str) -> NotFound:
    return NotFound(f"no search {search_id!r}; GET /searches lists them")
