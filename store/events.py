"""The numbered, append-only log of what happened to each search.

An event is written in the same transaction as what it tells of, so the log and the rows never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.db import Database
from store.models import Event, Search
from store.plain import plain_json

MAX_EVENTS = 1000


def append(session: Session, search: Search, kind: str, at: datetime, detail: Mapping[str, Any] | None = None) -> None:
    """Log `kind` as the next event of `search`, whose row this transaction must have locked."""
    search.event_seq += 1
    event = Event(
        search_id=search.id,
        seq=search.event_seq,
        fence=search.fence,
        kind=kind,
        at=at,
        detail=plain_json(detail or {}),
    )
    session.add(event)


class EventStore:
    """Reads the event logs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, search_id: str, seq: int = 0, *, limit: int = MAX_EVENTS) -> Sequence[Event]:
        """The events of a search numbered above `seq`, in order, at most `limit` of them."""
        query = select(Event).where(Event.search_id == search_id, Event.seq > seq).order_by(Event.seq).limit(limit)
        with self._database.read_scope() as session:
            return session.scalars(query).all()
