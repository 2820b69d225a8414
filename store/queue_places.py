"""The queue as users see it: the place of a search in it, and when it may start. Claims decide what really happens."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.conditions import is_claimed, is_queued
from store.db import Database, now
from store.models import Search
from store.settings import Settings
from store.turns import claim_order, contenders

KEPT_S = 1.0  # how old the queue may be that is shown to many readers
MAX_SHARE = 0.05  # of one CPU, to read it again and again; a very long one is therefore shown when it is older
NOT_BEGUN = "how long the searches ahead of it take is not known before they begin"
NO_ETA = "how long the searches that run will take is not known yet"
KEPT_BACK = "its tenant runs as many searches, or has used as much compute, as its limits allow"
_OF_CLASS = "it starts as soon as a worker {} a GPU is free; if this lasts, check that one is running"
OF_ITS_CLASS = {"cpu": _OF_CLASS.format("without"), "gpu": _OF_CLASS.format("with")}
ANY_MOMENT = "it starts as soon as a worker is free; if this lasts, check that a worker is running"


@dataclass(frozen=True)
class QueuePlace:
    """Where a queued search stands.

    Args:
        position: 1 is claimed next, of those that a worker of its resource class may run.
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
    classes: Mapping[str, str]  # id -> its resource class
    kept_back: Set[str]  # those that a limit of their tenant keeps back
    ends: Sequence[datetime | None]
    moment: datetime

    def places(self, search_ids: Sequence[str]) -> dict[str, QueuePlace]:
        """The places of those that are queued; the others are left out."""
        found = {search_id: self.rows[search_id] for search_id in search_ids if search_id in self.rows}
        places = {search_id: _place(*row, self.ends, self.moment) for search_id, row in found.items()}
        reasons = {one: OF_ITS_CLASS.get(self.classes[one]) for one in places}
        reasons |= dict.fromkeys(places.keys() & self.kept_back, KEPT_BACK)
        unknown = {one: reason for one, reason in reasons.items() if reason is not None}
        return places | {one: replace(places[one], may_start_at=None, unknown=why) for one, why in unknown.items()}


class QueueStore:
    """Places of queued searches, by the order in which `ClaimStore.claim` takes them.

    A database that is bound to a tenant has the places among its searches: how many others queue or run is
    not its business.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
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
        columns = Search.id, Search.next_run_at, Search.tenant_id, Search.priority, Search.resource_class
        with self._database.read_scope() as session:
            moment = now(session)
            queued = session.execute(select(*columns).where(is_queued()).order_by(Search.created_at, Search.id)).all()
            found = contenders(session, self._settings, moment) if queued else []
            ends = _expected_ends(session) if queued else []
        due: dict[tuple[str, int], list[str]] = {}
        for row in queued:
            if row.next_run_at <= moment:
                due.setdefault((row.tenant_id, row.priority), []).append(row.id)
        admitted, kept_back = claim_order(found, due)
        # The others follow as they become due.
        later = sorted((row for row in queued if row.next_run_at > moment), key=lambda row: row.next_run_at)
        order = [*admitted, *kept_back, *(row.id for row in later)]
        due_at = {row.id: row.next_run_at for row in queued}
        classes = {row.id: row.resource_class for row in queued}
        positions = _positions(order, classes)
        rows = {search_id: (positions[search_id], due_at[search_id]) for search_id in order}
        return Queue(rows, classes, frozenset(kept_back), ends, moment)


def _positions(order: Iterable[str], classes: Mapping[str, str]) -> dict[str, int]:
    """The place of every search among those that may take the same worker, from 1."""
    positions, counts = {}, Counter[str]()
    for search_id in order:
        own = classes[search_id]
        counts[own] += 1
        positions[search_id] = counts.total() if own == "any" else counts["any"] + counts[own]
    return positions


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
