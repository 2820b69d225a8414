"""The life of an attempt: a claim takes a queued search, beats keep it, and exactly one of the endings closes it.

Every method after the claim is fenced: with a lease that is gone it raises LeaseLost and changes nothing. A cancel that
was accepted before an ending always wins: the search ends `cancelled`, keeping what it found.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from autonl_core.result import SearchResult
from store import events
from store.architectures import put_architecture
from store.artifacts import StoredFile
from store.db import Database, now
from store.fencing import Lease, hold
from store.models import Artifact, Attempt, RunState, Search
from store.plain import plain_json, plain_text
from store.settings import Settings
from store.states import CLAIMED, ExitClass, SearchState, StopReason

_CLAIM_TRIES = 20
LOG_TAIL_CHARS = 8000


class Standing(StrEnum):
    """What a supervisor learns when it beats or looks."""

    HELD = "held"
    CANCEL_WANTED = "cancel_wanted"
    LOST = "lost"


class ClaimStore:
    """Claims and their endings. Times are compared by the database's clock only."""

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

    def beat(self, lease: Lease) -> Standing:
        """Extend the lease, unless it is lost."""
        with self._database.session_scope() as session:
            moment = now(session)
            statement = (
                update(Search)
                .where(Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED))
                .values(beat_at=moment, lease_until=moment + timedelta(seconds=self._settings.lease_s))
                .returning(Search.state)
            )
            return _standing(session.execute(statement).scalar_one_or_none())

    def look(self, lease: Lease) -> tuple[Standing, datetime | None]:
        """The same answer as `beat`, without a write, and when the search last told of progress."""
        query = select(Search.state, Search.progress_at).where(
            Search.id == lease.search_id, Search.fence == lease.fence, Search.state.in_(CLAIMED)
        )
        with self._database.read_scope() as session:
            row = session.execute(query).one_or_none()
        return (_standing(row.state), row.progress_at) if row else (Standing.LOST, None)

    def finish(self, lease: Lease, result: SearchResult, checkpoint: StoredFile) -> SearchState:
        """Close the search with its result. The checkpoint stays downloadable even if a cancel came first."""
        with self._database.session_scope() as session:
            search = hold(session, lease)
            moment = now(session)
            put_architecture(session, search, result.architecture, moment)
            artifact = Artifact(
                id=secrets.token_hex(8),
                search_id=search.id,
                arch_id=result.architecture.arch_id,
                kind="safetensors",
                key=checkpoint.key,
                sha256=checkpoint.sha256,
                size_bytes=checkpoint.size_bytes,
                created_at=moment,
            )
            session.add(artifact)
            if search.state == SearchState.CANCELLING:
                return _close_cancelled(session, search, moment, "the search finished after the cancel")
            search.result = plain_json(result.to_json())
            search.stop_reason = StopReason(result.stop_reason)
            _close(session, search, SearchState.SUCCEEDED, ExitClass.SUCCEEDED, moment)
            events.append(session, search, "succeeded", moment, {"arch_id": result.architecture.arch_id})
            return search.state

    def fail(self, lease: Lease, error_type: str, detail: str) -> SearchState:
        """Close the search with an error that trying again cannot mend."""
        with self._database.session_scope() as session:
            search = hold(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return _close_cancelled(session, search, moment, detail)
            _close_failed(session, search, ExitClass.REFUSED, error_type, plain_text(detail), moment)
            return search.state

    def cancelled(self, lease: Lease, detail: str = "") -> SearchState:
        """Close the search after a cancel that was asked for."""
        with self._database.session_scope() as session:
            search = hold(session, lease, Search.state == SearchState.CANCELLING)
            return _close_cancelled(session, search, now(session), detail)

    def drained(self, lease: Lease) -> SearchState:
        """Put the search back into the queue because its worker stops: no penalty, no wait."""
        with self._database.session_scope() as session:
            search = hold(session, lease)
            moment = now(session)
            if search.state == SearchState.CANCELLING:
                return _close_cancelled(session, search, moment, "the worker was told to stop")
            _end_attempt(session, search, ExitClass.DRAINED, None, moment)
            _requeue(session, search, moment, "the worker was told to stop", wait_s=0)
            return search.state

    def crashed(self, lease: Lease, exit_class: ExitClass, detail: str) -> SearchState:
        """End an attempt that broke: try again after a wait, or give up after too many without a new run state."""
        with self._database.session_scope() as session:
            search = hold(session, lease, crash_streak=Search.crash_streak + 1)
            return end_crashed(session, search, exit_class, plain_text(detail), self._settings)

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
        events.append(session, search, "claimed", moment, {"attempt": search.attempts, "owner": owner})
        return True


def end_crashed(
    session: Session, search: Search, exit_class: ExitClass, detail: str, settings: Settings
) -> SearchState:
    """What follows a crash of `search`, whose row is locked and whose streak already counts this crash."""
    moment = now(session)
    if search.state == SearchState.CANCELLING:
        return _close_cancelled(session, search, moment, detail)
    _end_attempt(session, search, exit_class, detail, moment)
    if search.crash_streak < settings.max_crash_streak and search.attempts < settings.max_attempts:
        wait_s = settings.crash_backoff_s * 2 ** (search.crash_streak - 1)
        _requeue(session, search, moment, f"{exit_class}: {detail}", wait_s=wait_s)
        return search.state
    query = select(Attempt).where(Attempt.search_id == search.id).order_by(Attempt.fence.desc())
    ended = session.scalars(query.limit(settings.max_crash_streak)).all()
    reasons = "; ".join(f"attempt {a.fence}: {a.exit_class}: {a.detail}" for a in reversed(ended))
    limit = (
        f"{search.crash_streak} attempts in a row ended without a new run state"
        if search.crash_streak >= settings.max_crash_streak
        else f"all {search.attempts} attempts are used up"
    )
    _close_failed(session, search, exit_class, "attempts-exhausted", f"{limit}: {reasons}", moment)
    return search.state


def _standing(state: SearchState | None) -> Standing:
    if state is None:
        return Standing.LOST
    return Standing.CANCEL_WANTED if state == SearchState.CANCELLING else Standing.HELD


def _end_attempt(session: Session, search: Search, exit_class: ExitClass, detail: str | None, moment: datetime) -> None:
    attempt = session.get_one(Attempt, (search.id, search.fence))
    if attempt.ended_at is None:
        attempt.ended_at, attempt.exit_class, attempt.detail = moment, exit_class, detail
    search.owner = None
    search.lease_until = None


def _requeue(session: Session, search: Search, moment: datetime, reason: str, *, wait_s: float) -> None:
    search.state = SearchState.QUEUED
    search.next_run_at = moment + timedelta(seconds=wait_s)
    search.last_rung_at = None
    search.ring_count = 0
    events.append(session, search, "requeued", moment, {"reason": reason, "wait_s": wait_s})


def _close(
    session: Session,
    search: Search,
    state: SearchState,
    exit_class: ExitClass,
    moment: datetime,
    detail: str | None = None,
) -> None:
    _end_attempt(session, search, exit_class, detail, moment)
    search.state = state
    search.finished_at = moment
    if state != SearchState.FAILED:  # the run states of a failed search may still help to find out why
        session.execute(delete(RunState).where(RunState.search_id == search.id))


def _close_cancelled(session: Session, search: Search, moment: datetime, detail: str) -> SearchState:
    search.stop_reason = StopReason.CANCELLED
    _close(session, search, SearchState.CANCELLED, ExitClass.CANCELLED, moment, plain_text(detail) or None)
    events.append(session, search, "cancelled", moment, {"best_arch_id": search.best_arch_id})
    return search.state


def _close_failed(
    session: Session, search: Search, exit_class: ExitClass, error_type: str, detail: str, moment: datetime
) -> None:
    search.stop_reason = StopReason.ERROR
    search.error = {"type": error_type, "detail": detail}
    _close(session, search, SearchState.FAILED, exit_class, moment, detail)
    events.append(session, search, "failed", moment, search.error)
