"""The queue as users see it: the place of a search in it, and when it may start. Claims decide what really happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, literal, select
from sqlalchemy.orm import Session

from store.db import Database, now
from store.models import Search
from store.states import CLAIMED, SearchState

NOT_BEGUN = "how long the searches ahead of it take is not known before they begin"
NO_ETA = "how long the searches that run will take is not known yet"
ANY_MOMENT = "it starts as soon as a worker is free; if this lasts, check that a worker is running"


@dataclass(frozen=True)
class QueuePlace:
    """Where a queued search stands.

    Args:
        position: 1 is claimed next.
        running: searches that hold a worker.
        may_start_at: the earliest time at which a worker is expected to be free for it; None: not known.
        unknown: why that is not known; None: it is.
    """

    position: int
    ahead: int
    running: int
    may_start_at: datetime | None
    unknown: str | None


class QueueStore:
    """Places of queued searches, by the order in which `ClaimStore.claim` takes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def places(self, search_ids: Sequence[str]) -> dict[str, QueuePlace]:
        """The places of those that are queued; the others are left out."""
        if not search_ids:
            return {}
        with self._database.read_scope() as session:
            moment = now(session)
            places = _numbered(moment)
            wanted = select(places).where(places.c.id.in_(search_ids))
            found = session.execute(wanted).all()
            ends = _expected_ends(session) if found else []
        return {row.id: _place(row.position, row.next_run_at, ends, moment) for row in found}


def _numbered(moment: datetime) -> Any:
    """Id, time and position of every queued search: those that are due, the oldest first; then the others, as they are.

    That is the order of claims, which take the oldest of those that are due.
    """
    due_at = case((Search.next_run_at <= moment, literal(moment, Search.next_run_at.type)), else_=Search.next_run_at)
    position = func.row_number().over(order_by=(due_at, Search.created_at, Search.id)).label("position")
    return select(Search.id, Search.next_run_at, position).where(Search.state == SearchState.QUEUED).subquery()


def _expected_ends(session: Session) -> list[datetime | None]:
    """When each running search ends at the earliest, the first one first; None, at the end: not known."""
    running = select(Search.progress, Search.progress_at).where(Search.state.in_(CLAIMED))
    ends: list[datetime | None] = []
    for progress, progress_at in session.execute(running):
        left_s: float | None = (progress or {}).get("eta_low_s")
        ends.append(None if left_s is None else progress_at + timedelta(seconds=left_s))
    return sorted(ends, key=lambda end: (end is None, end.timestamp() if end is not None else 0.0))


def _place(position: int, next_run_at: datetime, ends: Sequence[datetime | None], moment: datetime) -> QueuePlace:
    """As many searches run at once as run now, or one: a search at position N gets the worker that is the Nth free."""
    may_start_at, unknown = None, None
    if position > max(1, len(ends)):
        unknown = NOT_BEGUN
    elif not ends:
        may_start_at, unknown = (next_run_at, None) if next_run_at > moment else (None, ANY_MOMENT)
    elif None in ends:
        unknown = NO_ETA
    else:
        end = ends[position - 1]
        assert end is not None
        may_start_at = max(end, next_run_at, moment)
    return QueuePlace(position, position - 1, len(ends), may_start_at, unknown)
