"""The right to write about a running search, and the one conditional UPDATE that checks it.

A claim raises the search's fence by one. Every later write of that attempt is `... WHERE id AND fence AND still
claimed`; zero rows changed means that the lease is lost, and the reason is looked up only then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from store.errors import AlreadyWritten, LeaseLost
from store.models import Search
from store.states import CLAIMED


@dataclass(frozen=True)
class Lease:
    """What a claim gives: the right to write about this search while its fence is the newest."""

    search_id: str
    fence: int
    report: int = 0  # number of the write that is about to come, 1, 2, ... in each attempt; 0: it is not numbered


def require_lease(session: Session, lease: Lease, *conditions: ColumnElement[bool], **changes: Any) -> Search:
    """Check the lease, apply `changes`, and return the row, locked against other writers until the transaction ends.

    Raises:
        LeaseLost: another attempt owns the search, it is no longer claimed, or one of `conditions` does not hold.
        AlreadyWritten: this very write was committed before, and only the answer got lost.
    """
    fenced = Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED)
    search = lock_row(session, *fenced, *conditions, **changes)
    if search is None:
        raise LeaseLost(_explain(session, lease))
    if lease.report:
        if search.report_seq >= lease.report:
            raise AlreadyWritten(
                f"report {lease.report} of attempt {lease.fence} of search {lease.search_id} is stored"
            )
        search.report_seq = lease.report
    return search


def lock_row(session: Session, *conditions: ColumnElement[bool], **changes: Any) -> Search | None:
    """The search that meets `conditions`, with `changes` applied, locked against other writers until the transaction
    ends; None if there is none. One UPDATE, since SQLite knows no other lock on rows.
    """
    statement = update(Search).where(*conditions).values(**(changes or {"fence": Search.fence})).returning(Search)
    options = {"populate_existing": True, "synchronize_session": False}
    return session.scalars(statement.execution_options(**options)).one_or_none()


def _explain(session: Session, lease: Lease) -> str:
    search = session.get(Search, lease.search_id)
    if search is None:
        return f"search {lease.search_id} does not exist (any more)"
    if search.fence != lease.fence:
        return f"search {lease.search_id} is at attempt {search.fence}, owned by {search.owner}; this is {lease.fence}"
    return f"search {lease.search_id} is {search.state}, and no longer held by attempt {lease.fence}"
