"""How an attempt ends, and what becomes of its search. Called inside the transaction that holds the search's row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from autonl_core.spec.result import SearchResult
from store import events
from store.db import now
from store.json_values import plain_json, plain_text
from store.models import Attempt, RunState, Search
from store.settings import Settings
from store.states import ExitClass, SearchState, StopReason

# Memory that ran out runs out again: the second attempt computes in smaller parts, and there is no third.
MAX_MEMORY_CRASHES = 2
# What a search is failed with when a whole streak broke in one way; any other streak is poison.
_ONE_WAY = {
    ExitClass.OUT_OF_MEMORY: "out-of-memory",
    ExitClass.DISK_FULL: "disk-full",
    ExitClass.STALLED: "stalled",
}
_WAY_OUT = {
    "out-of-memory": "give the worker more memory, or lower the batch sizes or the resolution; then resume the search",
    "disk-full": "free space below the data folder and in the artifact store, then resume the search",
    "stalled": "see the logs of its attempts; raise AUTONL_STALL_S if it only is slow; then resume the search",
    "poison": "see the logs of its attempts; once the cause is mended, resume the search",
    "attempts-exhausted": "find out what ends its workers, then resume the search",
}


def succeeded(session: Session, search: Search, result: SearchResult, moment: datetime) -> SearchState:
    search.result = plain_json(result.to_json())
    search.stop_reason = StopReason(result.stop_reason)
    _close(session, search, SearchState.SUCCEEDED, ExitClass.SUCCEEDED, moment)
    # Those of any other end are kept: `resume` may want them.
    session.execute(delete(RunState).where(RunState.search_id == search.id))
    events.append(session, search, "succeeded", moment, {"arch_id": result.architecture.arch_id})
    return search.state


def cancelled(session: Session, search: Search, moment: datetime, detail: str) -> SearchState:
    search.stop_reason = StopReason.CANCELLED
    _close(session, search, SearchState.CANCELLED, ExitClass.CANCELLED, moment, plain_text(detail) or None)
    events.append(session, search, "cancelled", moment, {"best_arch_id": search.best_arch_id})
    return search.state


def failed(
    session: Session, search: Search, exit_class: ExitClass, error_type: str, detail: str, moment: datetime
) -> SearchState:
    search.stop_reason = StopReason.ERROR
    search.error = {"type": error_type, "detail": detail}
    _close(session, search, SearchState.FAILED, exit_class, moment, detail)
    events.append(session, search, "failed", moment, search.error)
    return search.state


def paused(session: Session, search: Search, exit_class: ExitClass, moment: datetime, detail: str) -> SearchState:
    _end_attempt(session, search, exit_class, detail, moment)
    search.state = SearchState.PAUSED
    events.append(session, search, "paused", moment, {"best_arch_id": search.best_arch_id})
    return search.state


def drained(session: Session, search: Search, moment: datetime, detail: str) -> SearchState:
    """Its worker stops: another goes on at once, and the attempt does not count against the limit."""
    _end_attempt(session, search, ExitClass.DRAINED, detail, moment)
    search.attempts -= 1
    _requeue(session, search, moment, detail, wait_s=0)
    return search.state


def crashed(session: Session, search: Search, exit_class: ExitClass, detail: str, settings: Settings) -> SearchState:
    """What follows a crash of `search`, whose row is locked and whose streak already counts this crash."""
    moment = now(session)
    if search.state == SearchState.CANCELLING:
        return cancelled(session, search, moment, detail)
    if search.state == SearchState.PAUSING:
        return paused(session, search, exit_class, moment, detail)
    _end_attempt(session, search, exit_class, detail, moment)
    streak = _streak(session, search)
    error_type = _reason_to_give_up(search, streak, settings)
    if error_type is None:
        wait_s = settings.crash_backoff_s * 2 ** (search.crash_streak - 1)
        _requeue(session, search, moment, f"{exit_class}: {detail}", wait_s=wait_s)
        return search.state
    limit = (
        f"all {search.attempts} attempts are used up"
        if error_type == "attempts-exhausted"
        else f"{len(streak)} attempts in a row ended without a new run state"
    )
    reasons = "; ".join(f"attempt {a.fence}: {a.exit_class}: {a.detail}" for a in streak[-settings.max_crash_streak :])
    return failed(
        session, search, exit_class, error_type, f"{limit}: {reasons}. {_WAY_OUT[error_type].capitalize()}.", moment
    )


def _streak(session: Session, search: Search) -> Sequence[Attempt]:
    """The attempts that crashed since the last new run state, first to last; the last is the one that ends now."""
    this = session.get_one(Attempt, (search.id, search.fence))
    asked_to_stop = Attempt.exit_class.in_([ExitClass.DRAINED, ExitClass.PAUSED])
    query = select(Attempt).where(Attempt.search_id == search.id, Attempt.fence < search.fence, ~asked_to_stop)
    earlier = session.scalars(query.order_by(Attempt.fence.desc()).limit(search.crash_streak - 1)).all()
    return [*reversed(earlier), this]


def _reason_to_give_up(search: Search, streak: Sequence[Attempt], settings: Settings) -> str | None:
    """The type of the error to fail with; None: try again."""
    ways = Counter(attempt.exit_class for attempt in streak)
    if ways[ExitClass.OUT_OF_MEMORY] >= MAX_MEMORY_CRASHES:
        return "out-of-memory"
    if search.crash_streak >= settings.max_crash_streak:
        only = streak[-1].exit_class if len(ways) == 1 else None
        return _ONE_WAY.get(only, "poison") if only is not None else "poison"
    return "attempts-exhausted" if search.attempts >= settings.max_attempts else None


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
