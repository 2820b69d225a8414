"""The right to write to a running search, and the one conditional UPDATE that checks it.

A claim raises the search's fence by one. Every later write of that attempt is `... WHERE id AND fence AND still
claimed`. If it changes no row, the lease is lost; only then is the reason looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from store.errors import AlreadyWritten, LeaseLapsed, LeaseLost
from store.models import Attempt, Search
from store.states import CLAIMED, ExitClass, SearchState


@dataclass(frozen=True)
class Origin:
    """Where a search comes from, as far as that is known: for log lines and spans."""

    request_id: str | None = None
    tenant_id: str | None = None
    traceparent: str | None = None


ORIGIN = (Search.request_id, Search.tenant_id, Search.traceparent)  # the columns of an `Origin`, in its order


@dataclass(frozen=True)
class Lease:
    """Returned by a claim: the right to write to this search for as long as its fence is the newest.

    Args:
        update_number: numbers the progress updates of an attempt, 1, 2, ..., so that a repeated one is recognised; 0
            for a write that is not numbered.
        batch_parts: of the search, as its claim read it: how many ranks can share it.
    """

    search_id: str
    fence: int
    update_number: int = 0
    origin: Origin = field(default=Origin(), compare=False)
    batch_parts: int = field(default=1, compare=False)

    def artifact_key(self, name: str) -> str:
        """Where the artifact store has a file of this attempt: no other attempt writes there."""
        return f"{self.search_id}/{self.fence}/{name}"


def require_lease(session: Session, lease: Lease, *conditions: ColumnElement[bool], **changes: Any) -> Search:
    """Check the lease, apply `changes`, and return the row, locked against other writers until the transaction ends.

    Raises:
        LeaseLost: another attempt owns the search, it is no longer claimed, or one of `conditions` does not hold.
        LeaseLapsed: as yet, none does: the search is queued again because this attempt was late.
        AlreadyWritten: this very update was committed before, and only the answer got lost.
    """
    fenced = Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED)
    search = lock_row(session, *fenced, *conditions, **changes)
    if search is None:
        kind = LeaseLapsed if is_lapsed(session, lease) else LeaseLost
        raise kind(_explain(session, lease))
    if lease.update_number:
        if search.report_seq >= lease.update_number:
            raise AlreadyWritten(
                f"update {lease.update_number} of attempt {lease.fence} of search {lease.search_id} is already stored"
            )
        search.report_seq = lease.update_number
    return search


def lock_row(session: Session, *conditions: ColumnElement[bool], **changes: Any) -> Search | None:
    """The search that meets `conditions`, with `changes` applied, or None if there is none.

    The row stays locked against other writers until the transaction ends. Locking takes an UPDATE, because SQLite has
    no other lock on rows.
    """
    statement = update(Search).where(*conditions).values(**(changes or {"fence": Search.fence})).returning(Search)
    options = {"populate_existing": True, "synchronize_session": False}
    return session.scalars(statement.execution_options(**options)).one_or_none()


def is_lapsed(session: Session, lease: Lease) -> bool:
    """Whether the attempt was late, and its search is queued because of that, and not claimed since."""
    queued = Search.id == lease.search_id, Search.fence == lease.fence, Search.state == SearchState.QUEUED
    late = Attempt.search_id == Search.id, Attempt.fence == Search.fence, Attempt.exit_class == ExitClass.LEASE_LOST
    return session.execute(select(Search.id).where(*queued, *late)).first() is not None


def _explain(session: Session, lease: Lease) -> str:
    search = session.get(Search, lease.search_id)
    if search is None:
        return f"search {lease.search_id} does not exist, or was deleted"
    if search.fence != lease.fence:
        return (
            f"search {lease.search_id} is at attempt {search.fence}, owned by {search.owner}; "
            f"this is attempt {lease.fence}"
        )
    return f"search {lease.search_id} is {search.state}, and no longer held by attempt {lease.fence}"
