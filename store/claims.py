"""The life of an attempt: a claim takes a queued search, beats keep it, and exactly one of the endings closes it.

Every method after the claim is fenced: with a lease that is gone it raises LeaseLost and changes nothing. A cancel that
was accepted before an ending always wins: the search ends `cancelled`, keeping what it found.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from autonl_core.spec.result import SearchResult
from store import events, outcomes
from store.architectures import put_architecture, put_artifact
from store.artifacts import StoredFile
from store.db import Database, now
from store.json_values import plain_text
from store.leases import Lease, require_lease
from store.models import Attempt, Search
from store.settings import Settings
from store.states import CLAIMED, ExitClass, SearchState

_CLAIM_TRIES = 20
LOG_TAIL_CHARS = 8000


class LeaseStatus(StrEnum):
    """What a supervisor learns when it beats or looks."""

    HELD = "held"
    PAUSE_WANTED = "pause_wanted"
    CANCEL_WANTED = "cancel_wanted"
    LOST = "lost"


_LEASE_STATUSES = {
    SearchState.RUNNING: LeaseStatus.HELD,
    SearchState.PAUSING: LeaseStatus.PAUSE_WANTED,
    SearchState.CANCELLING: LeaseStatus.CANCEL_WANTED,
}


class ClaimStore:
    """Claims and their outcomes. Times are compared by the database's clock only."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def claim(self, owner: str) -> Lease | None:
        """Take the search that has waited longest, or None if none is due.

        The right to it comes from a conditional UPDATE, so two claimers never take the same one; the row lock, where
        the database has one, only keeps them from queueing for it.
        """
        for _ in range(_CLAIM_TRIES):
            with self._database.session_scope() as session:
                moment = now(session)
                due = (
                    select(Search.id, Search.fence)
                    .where(Search.state == SearchState.QUEUED, Search.next_run_at <= moment)
                    .order_by(Search.created_at, Search.id)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
                candidate = session.execute(due).one_or_none()
                if candidate is None:
                    return None
                lease = Lease(candidate.id, candidate.fence + 1)
                if self._take(session, lease, owner, moment):
                    return lease
        return None  # others were faster every time; the next ring tries again

    def beat(self, lease: Lease) -> LeaseStatus:
        """Extend the lease, unless it is lost."""
        with self._database.session_scope() as session:
            moment = now(session)
            statement = (
                update(Search)
                .where(Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED))
                .values(beat_at=moment, lease_until=moment + timedelta(seconds=self._settings.lease_s))
                .returning(Search.state)
            )
            return _lease_status(session.execute(statement).scalar_one_or_none())

    def look(self, lease: Lease) -> tuple[LeaseStatus, datetime | None]:
        """The same answer as `beat`, without a write, and when the search last told of progress."""
        query = select(Search.state, Search.progress_at).where(
            Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED)
        )
        with self._database.read_scope() as session:
            row = session.execute(query).one_or_none()
        return (_lease_status(row.state), row.progress_at) if row else (LeaseStatus.LOST, None)

    def finish(self, lease: Lease, result: SearchResult, files: Mapping[str, StoredFile]) -> SearchState:
        """Close the search with its result. Its files, by format, stay downloadable even if a cancel came first."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            put_architecture(session, search, result.architecture, moment)
            for kind, stored in files.items():
                put_artifact(session, search, result.architecture.arch_id, kind, stored, moment)
            if search.state == SearchState.CANCELLING:
                return outcomes.cancelled(session, search, moment, "the search finished after the cancel")
            return outcomes.succeeded(session, search, result, moment)

    def fail(self, lease: Lease, error_type: str, detail: str) -> SearchState:
        """Close the search with an error that trying again cannot mend."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return outcomes.cancelled(session, search, moment, detail)
            return outcomes.failed(session, search, ExitClass.REFUSED, error_type, plain_text(detail), moment)

    def cancelled(self, lease: Lease, detail: str = "") -> SearchState:
        """Close the search after a cancel that was asked for."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease, Search.state == SearchState.CANCELLING)
            return outcomes.cancelled(session, search, now(session), detail)

    def gave_back(self, lease: Lease, detail: str = "the worker was told to stop") -> SearchState:
        """The process saved and left, as it was asked to: the search waits, paused or queued, without a penalty."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return outcomes.cancelled(session, search, moment, detail)
            if search.state == SearchState.PAUSING:
                return outcomes.paused(session, search, ExitClass.PAUSED, moment, detail)
            return outcomes.drained(session, search, moment, detail)

    def crashed(self, lease: Lease, exit_class: ExitClass, detail: str) -> SearchState:
        """End an attempt that broke: try again after a wait, or give up after too many without a new run state."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease, crash_streak=Search.crash_streak + 1)
            return outcomes.crashed(session, search, exit_class, plain_text(detail), self._settings)

    def attach_log(self, lease: Lease, log: str) -> None:
        """Keep the end of an attempt's log with the attempt, also after it ended."""
        tail = plain_text(log)[-LOG_TAIL_CHARS:]
        statement = update(Attempt).where(Attempt.search_id == lease.search_id, Attempt.fence == lease.fence)
        with self._database.session_scope() as session:
            session.execute(statement.values(log_tail=tail))

    def _take(self, session: Session, lease: Lease, owner: str, moment: datetime) -> bool:
        """Move the search to running if nobody else did, with its attempt and first beat; False: somebody did."""
        lease_until = moment + timedelta(seconds=self._settings.lease_s)
        statement = (
            update(Search)
            .where(Search.id == lease.search_id, Search.fence == lease.fence - 1, Search.state == SearchState.QUEUED)
            .values(
                state=SearchState.RUNNING,
                fence=lease.fence,
                owner=owner,
                attempts=Search.attempts + 1,
                report_seq=0,
                claimed_at=moment,
                beat_at=moment,
                lease_until=lease_until,
            )
            .returning(Search)
            .execution_options(synchronize_session=False)
        )
        search = session.scalars(statement).one_or_none()
        if search is None:
            return False
        search.started_at = search.started_at or moment
        session.add(Attempt(search_id=search.id, fence=lease.fence, owner=owner, started_at=moment))
        events.append(session, search, "claimed", moment, {"attempt": lease.fence, "owner": owner})
        return True


def _lease_status(state: SearchState | None) -> LeaseStatus:
    return LeaseStatus.LOST if state is None else _LEASE_STATUSES[state]
