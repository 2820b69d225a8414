"""The life of an attempt: a claim takes a queued search, beats keep its lease, and exactly one ending closes it.

Every method after the claim is fenced: with a lost lease it raises LeaseLost and changes nothing. A cancel that was
accepted before an ending always wins: the search ends `cancelled` and keeps what it found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from autonl_core.spec.config import ResourceClass
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.result import SearchResult
from store import events, outcomes
from store.architectures import put_architecture, put_artifact
from store.artifacts import StoredFile
from store.db import Database, now
from store.json_values import plain_text
from store.leases import Lease, Origin, is_lapsed, lock_row, require_lease
from store.models import Attempt, Search
from store.settings import Settings
from store.states import CLAIMED, ExitClass, SearchState
from store.tenant_rows import DEFAULT_TENANT, Tenant
from store.transitions import Action, sources_of, transition
from store.turns import SERVED_WITHOUT_GPU, any_due, contenders, next_of
from store.usage import record_compute

_CLAIM_TRIES = 20
_CLAIMABLE = sources_of(Action.CLAIM)
LOG_TAIL_CHARS = 8000


class LeaseStatus(StrEnum):
    """What a supervisor learns about its lease, and about requests of users."""

    HELD = "held"
    PAUSE_WANTED = "pause_wanted"
    CANCEL_WANTED = "cancel_wanted"
    LOST = "lost"


class LeaseRow(NamedTuple):
    """What the row of a search says to the attempt that holds its lease.

    Args:
        progress_at: when it last reported progress, in this attempt or before.
        exporting: this attempt has come to the phase `exporting`, which needs no GPU.
    """

    status: LeaseStatus
    progress_at: datetime | None = None
    exporting: bool = False


_LEASE_STATUSES = {
    SearchState.RUNNING: LeaseStatus.HELD,
    SearchState.PAUSING: LeaseStatus.PAUSE_WANTED,
    SearchState.CANCELLING: LeaseStatus.CANCEL_WANTED,
}


class ClaimStore:
    """Claims, and the endings of attempts. Times are only ever compared by the database's clock."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def claim(self, owner: str, served: Sequence[ResourceClass] = SERVED_WITHOUT_GPU) -> Lease | None:
        """Claim the search whose turn it is (`store/turns.py`), or return None if none is due, or no tenant has room.

        Only searches of the classes `served` are seen.

        The conditional UPDATE in `_take` decides, so no two workers can claim the same search. The row lock, where the
        database has one, makes claims wait for each other, so that each sees whose turn it is after the one before.
        """
        for _ in range(_CLAIM_TRIES):
            with self._database.session_scope() as session:
                session.execute(select(Tenant.id).where(Tenant.id == DEFAULT_TENANT).with_for_update(key_share=True))
                moment = now(session)
                found = contenders(session, self._settings, moment, served)
                contender = next((one for one in found if one.room is None or one.room > 0), None)
                if contender is None:
                    return None
                rows = [session.execute(next_of(contender, name, moment)).one_or_none() for name in contender.classes]
                candidate = min(filter(None, rows), key=lambda row: (row.created_at, row.id), default=None)
                if candidate is None:
                    continue  # cancelled or paused since
                lease = Lease(candidate.id, candidate.fence + 1, origin=Origin(*candidate[3:]))
                taken = self._take(session, lease, owner, moment)
                if taken is not None:
                    last_turn = select(func.max(Tenant.turn)).scalar_subquery()
                    statement = update(Tenant).where(Tenant.id == contender.tenant_id).values(turn=last_turn + 1)
                    session.execute(statement.execution_options(synchronize_session=False))
                    return taken
        return None  # it was changed every time; the next notification triggers another try

    def any_due(self, served: Sequence[ResourceClass]) -> bool:
        """Whether a search of these classes is due, which a claim may get."""
        with self._database.read_scope() as session:
            moment = now(session)
            return any(session.execute(any_due(moment, name)).first() is not None for name in served)

    def beat(self, lease: Lease, compute_s: float = 0.0) -> LeaseStatus:
        """Extend the lease, unless it is lost. `compute_s`: what the attempt has used so far."""
        with self._database.session_scope() as session:
            moment = now(session)
            statement = (
                update(Search)
                .where(Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED))
                .values(beat_at=moment, lease_until=moment + timedelta(seconds=self._settings.lease_s))
                .returning(Search.state)
            )
            state = session.execute(statement).scalar_one_or_none()
            record_compute(session, lease, compute_s, moment)
            return _lease_status(state)

    def regain(self, lease: Lease) -> bool:
        """Take a search back that was queued again because beats were late, unless it was claimed or changed since.

        For a supervisor whose process still runs: the attempt goes on, as if it had not ended.
        """
        with self._database.session_scope() as session:
            lapsed = Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(_CLAIMABLE)
            search = lock_row(session, *lapsed)
            if search is None or not is_lapsed(session, lease):
                return False
            attempt, moment = session.get_one(Attempt, (lease.search_id, lease.fence)), now(session)
            attempt.ended_at = attempt.exit_class = attempt.detail = None
            transition(search, Action.CLAIM)
            search.owner, search.attempts, search.beat_at = attempt.owner, search.attempts + 1, moment
            search.lease_until = moment + timedelta(seconds=self._settings.lease_s)
            events.append(session, search, EventKind.LEASE_REGAINED, moment, {"attempt": lease.fence})
            return True

    def status(self, lease: Lease) -> LeaseRow:
        """What `beat` would return, without writing, and how far the search is."""
        query = select(Search.state, Search.phase, Search.progress_at, Search.claimed_at).where(
            Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED)
        )
        with self._database.read_scope() as session:
            row = session.execute(query).one_or_none()
        if row is None:
            return LeaseRow(LeaseStatus.LOST)
        is_own = row.progress_at is not None and row.claimed_at is not None and row.progress_at >= row.claimed_at
        return LeaseRow(_lease_status(row.state), row.progress_at, is_own and row.phase == "exporting")

    def finish(self, lease: Lease, result: SearchResult, files: Mapping[str, StoredFile]) -> SearchState:
        """Close the search with its result. Its `files`, by format, stay downloadable even if a cancel came first."""
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
        """Close the search with an error that a retry cannot fix."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return outcomes.cancelled(session, search, moment, detail)
            return outcomes.failed(session, search, ExitClass.REFUSED, error_type, plain_text(detail), moment)

    def cancelled(self, lease: Lease, detail: str = "") -> SearchState:
        """Close the search after a requested cancel."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease, Search.state == SearchState.CANCELLING)
            return outcomes.cancelled(session, search, now(session), detail)

    def spent(self, lease: Lease, detail: str) -> SearchState:
        """Close the search because it has used the compute that it may use. It can be resumed once it may use more."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return outcomes.cancelled(session, search, moment, detail)
            return outcomes.spent(session, search, moment, detail)

    def gave_back(self, lease: Lease, detail: str = "the worker was asked to stop") -> SearchState:
        """The search process saved and exited as requested: the search is paused, or queued again without penalty."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return outcomes.cancelled(session, search, moment, detail)
            if search.state == SearchState.PAUSING:
                return outcomes.paused(session, search, ExitClass.PAUSED, moment, detail)
            return outcomes.drained(session, search, moment, detail)

    def crashed(self, lease: Lease, exit_class: ExitClass, detail: str) -> SearchState:
        """End a crashed attempt: retry with backoff, or give up after too many without a new run state."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease, crash_streak=Search.crash_streak + 1)
            return outcomes.crashed(session, search, exit_class, plain_text(detail), self._settings)

    def interrupted(self, lease: Lease, detail: str) -> SearchState:
        """End an attempt whose lease could not be kept: retry at once. That is no crash of the search."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            return outcomes.interrupted(session, search, plain_text(detail), self._settings)

    def not_understood(self, lease: Lease, detail: str) -> SearchState:
        """End an attempt whose worker does not know all that the search asks for: leave it to a newer one."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            return outcomes.not_understood(session, search, plain_text(detail), self._settings)

    def device_failed(self, lease: Lease, detail: str) -> SearchState:
        """End an attempt whose GPU failed: retry at once, on another one. That is no crash of the search."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            return outcomes.device_failed(session, search, plain_text(detail), self._settings)

    def attach_log(self, lease: Lease, log: str) -> None:
        """Store the end of an attempt's log with the attempt, which may have ended."""
        tail = plain_text(log)[-LOG_TAIL_CHARS:]
        statement = update(Attempt).where(Attempt.search_id == lease.search_id, Attempt.fence == lease.fence)
        with self._database.session_scope() as session:
            session.execute(statement.values(log_tail=tail))

    def attach_traceparent(self, lease: Lease, traceparent: str) -> None:
        """Store which span the spans of the attempt's own process belong to."""
        statement = update(Attempt).where(Attempt.search_id == lease.search_id, Attempt.fence == lease.fence)
        with self._database.session_scope() as session:
            session.execute(statement.values(traceparent=traceparent))

    def origin(self, lease: Lease) -> Origin:
        """Where the search comes from, with the supervisor's span of this attempt in place of that of the request."""
        query = select(Search.request_id, Search.tenant_id, Attempt.traceparent).join(
            Attempt, Attempt.search_id == Search.id
        )
        with self._database.read_scope() as session:
            row = session.execute(query.where(Search.id == lease.search_id, Attempt.fence == lease.fence)).one_or_none()
        return Origin() if row is None else Origin(*row)

    def attempt(self, lease: Lease) -> Attempt | None:
        """The row of the attempt that holds, or held, `lease`; None if its search was deleted."""
        with self._database.read_scope() as session:
            return session.get(Attempt, (lease.search_id, lease.fence))

    def _take(self, session: Session, lease: Lease, owner: str, moment: datetime) -> Lease | None:
        """Start the attempt, with its first beat; None if the search was claimed or changed in the meantime."""
        statement = (
            update(Search)
            .where(Search.id == lease.search_id, Search.fence == lease.fence - 1, Search.state.in_(_CLAIMABLE))
            .values(
                state=SearchState.RUNNING,
                fence=lease.fence,
                owner=owner,
                attempts=Search.attempts + 1,
                report_seq=0,
                claimed_at=moment,
                beat_at=moment,
                lease_until=moment + timedelta(seconds=self._settings.lease_s),
            )
            .returning(Search)
            .execution_options(synchronize_session=False)
        )
        search = session.scalars(statement).one_or_none()
        if search is None:
            return None
        search.started_at = search.started_at or moment
        session.add(Attempt(search_id=search.id, fence=lease.fence, owner=owner, started_at=moment))
        events.append(session, search, EventKind.CLAIMED, moment, {"attempt": lease.fence, "owner": owner})
        return replace(lease, batch_parts=search.config.get("batch_parts", 1))


def _lease_status(state: SearchState | None) -> LeaseStatus:
    return LeaseStatus.LOST if state is None else _LEASE_STATUSES[state]
