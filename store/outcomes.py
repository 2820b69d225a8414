"""How an attempt ends, and what becomes of its search. Called inside the transaction that locked the search's row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.result import SearchResult
from autonl_core.wording.counts import agreeing, counted
from store import events
from store.db import now
from store.json_values import plain_json, plain_text
from store.models import Attempt, Event, RunState, Search
from store.settings import Settings
from store.states import CRASHES, ExitClass, SearchState, StopReason
from store.transitions import Action, transition
from store.usage import compute_of

# A search that ran out of memory will do so again. Its second attempt uses smaller micro-batches; there is no third.
MAX_MEMORY_CRASHES = 2
OTHER_VERSION_WAIT_S = 30.0  # for a worker of a version that knows what a search asks for
# The error type of a search whose whole crash streak ended in one way; any other streak is "poison".
_UNIFORM_STREAKS = {
    ExitClass.OUT_OF_MEMORY: "out-of-memory",
    ExitClass.DISK_FULL: "disk-full",
    ExitClass.STALLED: "stalled",
}
_REMEDIES = {
    "out-of-memory": "Give the worker more memory, or lower the batch sizes or the resolution; then resume the search.",
    "disk-full": "Free disk space in the data folder and in the artifact store, then resume the search.",
    "stalled": "Read the logs of its attempts; if it is slow but not stuck, raise AUTONL_STALL_S; then resume it.",
    "poison": "Read the logs of its attempts, fix the cause, then resume the search.",
    "interrupted": "Find out why its workers fall silent: a machine that sleeps or has no memory left; then resume it.",
    "other-version": "Upgrade the workers, then resume the search.",
    "attempts-exhausted": "Find out what keeps ending its workers, then resume the search.",
}


def succeeded(session: Session, search: Search, result: SearchResult, moment: datetime) -> SearchState:
    search.result = plain_json(result.to_json())
    search.stop_reason = StopReason(result.stop_reason)
    _close(session, search, Action.SUCCEED, ExitClass.SUCCEEDED, moment)
    # A search that ended in any other way keeps its run states, because it can be resumed.
    session.execute(delete(RunState).where(RunState.search_id == search.id))
    events.append(session, search, EventKind.SUCCEEDED, moment, {"arch_id": result.architecture.arch_id})
    return search.state


def cancelled(session: Session, search: Search, moment: datetime, detail: str) -> SearchState:
    search.stop_reason = StopReason.CANCELLED
    _close(session, search, Action.FINISH_CANCEL, ExitClass.CANCELLED, moment, plain_text(detail) or None)
    events.append(session, search, EventKind.CANCELLED, moment, {"best_arch_id": search.best_arch_id})
    return search.state


def spent(session: Session, search: Search, moment: datetime, detail: str) -> SearchState:
    """It has used the compute that it may use: it ends as if cancelled, and keeps what it found."""
    search.stop_reason = StopReason.BUDGET_SPENT
    _close(session, search, Action.SPEND, ExitClass.CANCELLED, moment, plain_text(detail))
    used = {"compute_s": round(compute_of(session, search.id), 1), "max_compute_s": search.config["max_compute_s"]}
    events.append(session, search, EventKind.BUDGET_SPENT, moment, used)
    events.append(session, search, EventKind.CANCELLED, moment, {"best_arch_id": search.best_arch_id})
    return search.state


def failed(
    session: Session, search: Search, exit_class: ExitClass, error_type: str, detail: str, moment: datetime
) -> SearchState:
    search.stop_reason = StopReason.ERROR
    search.error = {"type": error_type, "detail": detail}
    _close(session, search, Action.FAIL, exit_class, moment, detail)
    events.append(session, search, EventKind.FAILED, moment, search.error)
    return search.state


def paused(session: Session, search: Search, exit_class: ExitClass, moment: datetime, detail: str) -> SearchState:
    _end_attempt(session, search, exit_class, detail, moment)
    transition(search, Action.FINISH_PAUSE)
    reached = {"best_arch_id": search.best_arch_id, "saved_step": search.saved_step}
    events.append(session, search, EventKind.PAUSED, moment, reached)
    return search.state


def drained(session: Session, search: Search, moment: datetime, detail: str) -> SearchState:
    """Its worker stops: another one can claim the search at once, and the attempt does not count towards the limit."""
    _end_attempt(session, search, ExitClass.DRAINED, detail, moment)
    search.attempts -= 1
    _requeue(session, search, moment, detail, wait_s=0)
    return search.state


def crashed(session: Session, search: Search, exit_class: ExitClass, detail: str, settings: Settings) -> SearchState:
    """End a crashed attempt of `search`, whose row is locked and whose streak already includes this crash.

    The search is queued again with backoff, or fails once a limit is reached. A requested cancel or pause comes first.
    """
    moment = now(session)
    if (ended := _end_as_requested(session, search, exit_class, moment, detail)) is not None:
        return ended
    _end_attempt(session, search, exit_class, detail, moment)
    streak = _crash_streak(session, search)
    error_type = _reason_to_give_up(search, streak, settings)
    if error_type is None:
        wait_s = settings.crash_backoff_s * 2 ** (search.crash_streak - 1)
        _requeue(session, search, moment, f"{exit_class}: {detail}", wait_s=wait_s)
        return search.state
    failure = _describe_failure(search, streak[-settings.max_crash_streak :], len(streak), error_type)
    return failed(session, search, exit_class, error_type, failure, moment)


def interrupted(session: Session, search: Search, detail: str, settings: Settings) -> SearchState:
    """End an attempt of `search`, whose row is locked, because its supervisor did not beat in time.

    The search is queued again at once, and the attempt does not count towards any limit of crashes. It fails after too
    many in a row without a new run state: then it may be the search that silences its workers.
    """
    moment = now(session)
    if (ended := _end_as_requested(session, search, ExitClass.LEASE_LOST, moment, detail)) is not None:
        return ended
    _end_attempt(session, search, ExitClass.LEASE_LOST, detail, moment)
    if len(streak := _interruptions(session, search)) >= settings.max_interruptions:
        failure = _describe_failure(search, streak[-settings.max_crash_streak :], len(streak), "interrupted")
        return failed(session, search, ExitClass.LEASE_LOST, "interrupted", failure, moment)
    search.attempts -= 1
    _requeue(session, search, moment, f"{ExitClass.LEASE_LOST}: {detail}", wait_s=0)
    return search.state


def not_understood(session: Session, search: Search, detail: str, settings: Settings) -> SearchState:
    """End an attempt of `search`, whose row is locked, because its worker is of another version than who stored it.

    While a service is upgraded, workers of both versions claim. The search waits for one that knows what it asks for,
    for as many attempts as any search has.
    """
    moment = now(session)
    if (ended := _end_as_requested(session, search, ExitClass.PAUSED, moment, detail)) is not None:
        return ended
    if search.attempts >= settings.max_attempts:
        failure = f"none of {counted(search.attempts, 'attempt')} had a worker that knows what it asks for: {detail}"
        return failed(
            session, search, ExitClass.REFUSED, "other-version", f"{failure}. {_REMEDIES['other-version']}", moment
        )
    _end_attempt(session, search, ExitClass.DRAINED, detail, moment)
    _requeue(session, search, moment, detail, wait_s=OTHER_VERSION_WAIT_S)
    return search.state


def device_failed(session: Session, search: Search, detail: str, settings: Settings) -> SearchState:
    """End an attempt of `search`, whose row is locked, because its GPU failed. Another one can claim it at once.

    That is no crash, but the attempt counts: it may be the search that makes GPUs fail.
    """
    moment = now(session)
    if (ended := _end_as_requested(session, search, ExitClass.PAUSED, moment, detail)) is not None:
        return ended
    if search.attempts >= settings.max_attempts:
        failure = f"{counted(search.attempts, 'attempt')} were made; no more are allowed: {detail}"
        remedy = _REMEDIES["attempts-exhausted"]
        return failed(session, search, ExitClass.DRAINED, "attempts-exhausted", f"{failure}. {remedy}", moment)
    _end_attempt(session, search, ExitClass.DRAINED, detail, moment)
    _requeue(session, search, moment, detail, wait_s=0)
    return search.state


def _end_as_requested(
    session: Session, search: Search, exit_class: ExitClass, moment: datetime, detail: str
) -> SearchState | None:
    """End the search as its user requested before its attempt ended; None: nothing was requested.

    Args:
        exit_class: of the attempt, if a pause was.
    """
    if search.state == SearchState.CANCELLING:
        return cancelled(session, search, moment, detail)
    if search.state == SearchState.PAUSING:
        return paused(session, search, exit_class, moment, detail)
    return None


def _interruptions(session: Session, search: Search) -> Sequence[Attempt]:
    """The attempts with a lost lease since the last run state, or since a user resumed the search; oldest first.

    The last one is ending now.
    """
    saved = select(func.max(RunState.fence)).where(RunState.search_id == search.id)
    resumed = select(func.max(Event.fence)).where(
        Event.search_id == search.id, Event.kind == EventKind.RESUME_REQUESTED.value
    )
    since = max(session.scalar(saved) or 0, session.scalar(resumed) or 0)
    lost = Attempt.exit_class == ExitClass.LEASE_LOST, Attempt.fence > since, Attempt.fence < search.fence
    earlier = session.scalars(select(Attempt).where(Attempt.search_id == search.id, *lost).order_by(Attempt.fence))
    current = [] if search.fence == since else [session.get_one(Attempt, (search.id, search.fence))]
    return [*earlier, *current]


def _crash_streak(session: Session, search: Search) -> Sequence[Attempt]:
    """The attempts that crashed since the last new run state, oldest first; the last one is ending now."""
    current = session.get_one(Attempt, (search.id, search.fence))
    crashed_before = Attempt.exit_class.in_(CRASHES), Attempt.fence < search.fence
    query = select(Attempt).where(Attempt.search_id == search.id, *crashed_before)
    earlier = session.scalars(query.order_by(Attempt.fence.desc()).limit(search.crash_streak - 1)).all()
    return [*reversed(earlier), current]


def _reason_to_give_up(search: Search, streak: Sequence[Attempt], settings: Settings) -> str | None:
    """The error type to fail with, or None to try again."""
    counts = Counter(attempt.exit_class for attempt in streak)
    if counts[ExitClass.OUT_OF_MEMORY] >= MAX_MEMORY_CRASHES:
        return "out-of-memory"
    if search.crash_streak >= settings.max_crash_streak:
        exit_class = streak[-1].exit_class if len(counts) == 1 else None
        return _UNIFORM_STREAKS.get(exit_class, "poison") if exit_class is not None else "poison"
    return "attempts-exhausted" if search.attempts >= settings.max_attempts else None


def _describe_failure(search: Search, shown: Sequence[Attempt], streak_length: int, error_type: str) -> str:
    """Which limit was reached, how each of the `shown` attempts ended, and what to do about it."""
    if error_type == "attempts-exhausted":
        limit = f"{counted(search.attempts, 'attempt')} {agreeing(search.attempts, 'was')} made; no more are allowed"
    else:
        limit = f"{counted(streak_length, 'attempt')} in a row ended without a new run state"
    endings = "; ".join(f"attempt {attempt.fence}: {attempt.exit_class}: {attempt.detail}" for attempt in shown)
    return f"{limit}: {endings}. {_REMEDIES[error_type]}"


def _end_attempt(session: Session, search: Search, exit_class: ExitClass, detail: str | None, moment: datetime) -> None:
    attempt = session.get_one(Attempt, (search.id, search.fence))
    if attempt.ended_at is None:
        attempt.ended_at, attempt.exit_class, attempt.detail = moment, exit_class, detail
    search.owner = None
    search.lease_until = None


def _requeue(session: Session, search: Search, moment: datetime, reason: str, *, wait_s: float) -> None:
    transition(search, Action.REQUEUE)
    search.next_run_at = moment + timedelta(seconds=wait_s)
    search.last_rung_at = None
    search.ring_count = 0
    events.append(session, search, EventKind.REQUEUED, moment, {"reason": reason, "wait_s": wait_s})


def _close(
    session: Session,
    search: Search,
    action: Action,
    exit_class: ExitClass,
    moment: datetime,
    detail: str | None = None,
) -> None:
    """End the attempt, and with it the search."""
    _end_attempt(session, search, exit_class, detail, moment)
    transition(search, action)
    search.finished_at = moment
