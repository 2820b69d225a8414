"""The numbered, append-only event log of each search.

An event is written in the same transaction as the change it records, so the log and the rows never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from autonl_core.spec.event_kinds import EventKind
from store.db import Database, now
from store.json_values import plain_json
from store.leases import Lease, lock_row
from store.models import Event, Search
from store.states import FINAL

MAX_EVENTS = 1000


def append(
    session: Session, search: Search, kind: EventKind, at: datetime, detail: Mapping[str, Any] | None = None
) -> None:
    """Log the next event of `search`, whose row this transaction must have locked."""
    search.event_seq += 1
    event = Event(
        search_id=search.id,
        seq=search.event_seq,
        fence=search.fence,
        kind=kind.value,
        at=at,
        detail=plain_json(detail or {}),
    )
    session.add(event)


class EventStore:
    """Reads the event logs, and writes the one event for which an attempt needs no lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stale_write(self, lease: Lease, what: str) -> None:
        """Log that a write of an outdated attempt was refused; does nothing once the search is final."""
        moved_on = Search.id == lease.search_id, Search.fence > lease.fence, Search.state.not_in(FINAL)
        with self._database.session_scope() as session:
            search = lock_row(session, *moved_on)
            if search is not None:
                detail = {"attempt": lease.fence, "what": what}
                append(session, search, EventKind.STALE_WRITE_REFUSED, now(session), detail)

    def after(self, search_id: str, seq: int = 0, *, limit: int = MAX_EVENTS) -> Sequence[Event]:
        """The events of a search numbered above `seq`, in order, at most `limit` of them."""
        query = select(Event).where(Event.search_id == search_id, Event.seq > seq).order_by(Event.seq).limit(limit)
        with self._database.read_scope() as session:
            return session.scalars(query).all()

    def news(self, known: Mapping[str, int]) -> dict[str, tuple[bool, Sequence[Event]]]:
        """Of searches, each with the number of the last event that is known: whether it is over, and what is new.

        Left out are those of which nothing is. One that is gone is over.
        """
        query = select(Search.id, Search.event_seq, Search.state).where(Search.id.in_(known))
        with self._database.read_scope() as session:
            rows = {row.id: row for row in session.execute(query)}
        news: dict[str, tuple[bool, Sequence[Event]]] = {}
        for search_id, seq in known.items():
            row = rows.get(search_id)
            if row is None:
                news[search_id] = True, ()
            elif row.event_seq > seq or row.state in FINAL:
                news[search_id] = row.state in FINAL, self.after(search_id, seq)
        return news
