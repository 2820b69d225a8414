"""The queue as users see it: the place of a search in it, and when it may start. Claims decide what really happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.conditions import is_claimed, is_queued
from store.db import Database, now
from store.models import Search

KEPT_S = 1.0  # how old the queue may be that is shown to many readers
MAX_SHARE = 0.05  # of one CPU, to read it again and again; a very long one is therefore shown when it is older
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


@dataclass(frozen=True)
class Queue:
    """The whole queue at one moment."""

    rows: Mapping[str, tuple[int, datetime]]  # id -> its position, and when it is due
    ends: Sequence[datetime | None]
    moment: datetime

    def places(self, search_ids: Sequence[str]) -> dict[str, QueuePlace]:
        """The places of those that are queued; the others are left out."""
        found = {search_id: self.rows[search_id] for search_id in search_ids if search_id in self.rows}
        return {search_id: _place(*row, self.ends, self.moment) for search_id, row in found.items()}


class QueueStore:
    """Places of queued searches, by the order in which `ClaimStore.claim` takes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: tuple[float, float, Queue] | None = None  # when it was read, how long it is kept
        self._reading = threading.Lock()

    def places(self, search_ids: Sequence[str]) -> dict[str, QueuePlace]:
        """The places of those that are queued; the others are left out."""
        return self._read().places(search_ids) if search_ids else {}

    def recent_places(self, search_ids: Sequence[str]) -> dict[str, QueuePlace]:
        """The same as it was up to a second ago, for many readers; of searches that are queued."""
        if not search_ids:
            return {}
        with self._reading:
            recent, began = self._recent, time.monotonic()
            if recent is None or began > recent[0] + recent[1] or any(one not in recent[2].rows for one in search_ids):
                queue, ended = self._read(), time.monotonic()
                recent = self._recent = ended, max(KEPT_S, (ended - began) / MAX_SHARE), queue
        return recent[2].places(search_ids)

    def _read(self) -> Queue:
        with self._database.read_scope() as session:
            moment = now(session)
            query = select(Search.id, Search.next_run_at).where(is_queued()).order_by(Search.created_at, Search.id)
            queued = session.execute(query).all()
            ends = _expected_ends(session) if queued else []
        # Claims take the oldest of those that are due. The others follow as they become due.
        due = [row for row in queued if row.next_run_at <= moment]
        waiting = sorted((row for row in queued if row.next_run_at > moment), key=lambda row: row.next_run_at)
        rows = {row.id: (position, row.next_run_at) for position, row in enumerate([*due, *waiting], start=1)}
        return Queue(rows, ends, moment)


def _expected_ends(session: Session) -> list[datetime | None]:
    """When each running search ends at the earliest, the first one first; None, at the end: not known."""
    running = select(Search.progress, Search.progress_at).where(is_claimed())
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
