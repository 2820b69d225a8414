"""Repairs: ends attempts whose workers fell silent, and says how many notifications the queued searches need."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from store import outcomes
from store.conditions import is_active, is_claimed, is_queued
from store.db import Database, now
from store.errors import LeaseLost
from store.leases import Lease, require_lease
from store.models import Search
from store.polled_query import PolledQuery
from store.settings import Settings
from store.states import SearchState

_BATCH_SIZE = 100  # searches handled by one call
_MAX_DOUBLINGS = 16


@dataclass(frozen=True)
class Swept:
    """A search whose attempt was stale, and the state it is in now."""

    lease: Lease
    state: SearchState


class SweepStore:
    """Several sweepers may run at once, and any of them may die: each repair is one fenced transaction."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        active = select(Search.id).where(is_active())
        self._active = PolledQuery(database, active)

    def are_needed(self) -> bool:
        """Whether any search is queued or claimed. Otherwise nothing is due, and nothing can be stale."""
        return self._active.finds_any()

    def sweep(self) -> list[Swept]:
        """End every stale attempt: its search is queued again, or closed if that helps no more or it was cancelled."""
        # A claim whose first beat never came has no lease_until; its lease counts from the claim.
        deadline = func.coalesce(Search.lease_until, Search.claimed_at)
        with self._database.read_scope() as session:
            stale = is_claimed(), deadline < now(session)
            query = select(Search.id, Search.fence, Search.owner).where(*stale).limit(_BATCH_SIZE)
            found = session.execute(query).all()
        swept = []
        for search_id, fence, owner in found:
            lease = Lease(search_id, fence)
            try:
                with self._database.session_scope() as session:
                    search = require_lease(session, lease, deadline < now(session))
                    reason = f"no beat from {owner} for {self._settings.lease_s:g} s"
                    state = outcomes.interrupted(session, search, reason, self._settings)
            except LeaseLost:
                continue  # since the query above, it beat, ended, or was swept by another sweeper
            swept.append(Swept(lease, state))
        return swept

    def due_notifications(self) -> Counter[str]:
        """How many notifications the queued searches need now, by resource class.

        Each counts as sent: the wait for the next doubles.
        """
        with self._database.session_scope() as session:
            moment = now(session)
            queued = (
                select(Search.id, Search.ring_count, Search.last_rung_at, Search.resource_class)
                .where(is_queued(), Search.next_run_at <= moment)
                .order_by(Search.created_at, Search.id)
                .limit(_BATCH_SIZE)
            )
            due = [row for row in session.execute(queued) if self._is_due(row.ring_count, row.last_rung_at, moment)]
            if due:
                is_one = Search.id.in_([row.id for row in due]), Search.state == SearchState.QUEUED
                changes = {"last_rung_at": moment, "ring_count": Search.ring_count + 1}
                session.execute(update(Search).where(*is_one).values(changes))
            return Counter(row.resource_class for row in due)

    def oldest_wait_s(self) -> float:
        """How long the search that has been due the longest has waited, in seconds; 0 if none is due."""
        with self._database.read_scope() as session:
            moment = now(session)
            waiting = is_queued(), Search.next_run_at <= moment
            since = session.scalars(
                select(Search.next_run_at).where(*waiting).order_by(Search.next_run_at).limit(1)
            ).first()
        return (moment - since).total_seconds() if since is not None else 0.0

    def _is_due(self, ring_count: int, last_rung_at: datetime | None, moment: datetime) -> bool:
        if last_rung_at is None:
            return True
        doublings = min(max(ring_count - 1, 0), _MAX_DOUBLINGS)
        wait_s = min(self._settings.ring_s * 2**doublings, self._settings.ring_max_s)
        return last_rung_at + timedelta(seconds=wait_s) <= moment
