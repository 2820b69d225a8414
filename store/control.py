"""What users can request of an existing search: cancel, pause, resume.

Each request locks the row first. Of a request and the end of an attempt, the one that gets the lock first wins, and the
answer is the resulting state. The supervisor of a running search learns of the request when it reads the row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy.orm import Session

from autonl_core.spec.event_kinds import EventKind
from store import events
from store.db import Database, now
from store.errors import ComputeSpent, StateConflict
from store.models import Search
from store.quotas import require_searches
from store.settings import Settings
from store.states import SearchState, StopReason
from store.transitions import Action, allowed_requests, is_done, transition
from store.unchanged import lock_search
from store.usage import compute_of

_PAST_PARTICIPLES = {Action.CANCEL: "cancelled", Action.PAUSE: "paused", Action.RESUME: "resumed"}


class ControlStore:
    """Cancel, pause and resume. All of them are idempotent: repeating a request changes nothing.

    Each may name `versions` that the caller has seen, and raises SearchChanged unless the search still has one of them.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def cancel(self, search_id: str, versions: Collection[int] | None = None) -> Search:
        """Cancel a waiting search at once, or ask a running one to stop; both keep the best architecture so far.

        Raises:
            NotFound: no such search.
            StateConflict: it already succeeded or failed.
        """
        return self._request(Action.CANCEL, search_id, versions, _apply_cancel)

    def pause(self, search_id: str, versions: Collection[int] | None = None) -> Search:
        """Pause a queued search at once, or ask a running one to save its run state and free its worker.

        Raises:
            NotFound: no such search.
            StateConflict: it is being cancelled, or is final.
        """
        return self._request(Action.PAUSE, search_id, versions, _apply_pause)

    def resume(
        self, search_id: str, versions: Collection[int] | None = None, max_compute_s: float | None = None
    ) -> Search:
        """Continue a paused, failed or cancelled search from its last run state, with its crash counters reset.

        For a search that is still pausing, the pause is withdrawn: its process saves and exits, and the next attempt
        continues.

        Args:
            max_compute_s: what it may use from now on, over all attempts; None: as much as before.

        Raises:
            NotFound: no such search.
            StateConflict: it is being cancelled, or succeeded.
            ComputeSpent: it has used what it may use.
            QuotaExceeded: its tenant may not queue another search.
        """

        def apply(session: Session, search: Search, moment: datetime) -> EventKind:
            if max_compute_s is not None:
                search.config = {**search.config, "max_compute_s": max_compute_s}
            if search.state == SearchState.QUEUED:
                _require_compute(session, search)
                require_searches(session, self._settings, 1)
            return _apply_resume(session, search, moment)

        return self._request(Action.RESUME, search_id, versions, apply)

    def _request(
        self,
        request: Action,
        search_id: str,
        versions: Collection[int] | None,
        apply: Callable[[Session, Search, datetime], EventKind],
    ) -> Search:
        """Change the state, then let `apply` set what belongs to the new state and name the event."""
        with self._database.session_scope() as session:
            search, moment = lock_search(session, search_id, versions), now(session)
            if request in allowed_requests(search.state):
                transition(search, request)
                events.append(session, search, apply(session, search, moment), moment)
            elif not is_done(request, search.state):
                raise _conflict(search, request)
            return search


def _require_compute(session: Session, search: Search) -> None:
    """Raises ComputeSpent if nothing is left of what the search may use."""
    limit_s, used_s = search.config.get("max_compute_s"), compute_of(session, search.id)
    if limit_s is not None and used_s >= limit_s:
        raise ComputeSpent(
            f"search {search.id} has used {used_s:,.1f} of the {limit_s:,.1f} CPU seconds that it may use; "
            "resume it with a higher `max_compute_s`"
        )


def _apply_cancel(_session: Session, search: Search, moment: datetime) -> EventKind:
    search.cancel_requested_at = moment
    if search.state == SearchState.CANCELLING:
        return EventKind.CANCEL_REQUESTED
    search.stop_reason, search.finished_at = StopReason.CANCELLED, moment
    return EventKind.CANCELLED


def _apply_pause(_session: Session, search: Search, _moment: datetime) -> EventKind:
    return EventKind.PAUSE_REQUESTED if search.state == SearchState.PAUSING else EventKind.PAUSED


def _apply_resume(_session: Session, search: Search, moment: datetime) -> EventKind:
    if search.state == SearchState.QUEUED:  # not RUNNING: a withdrawn pause continues the same attempt
        search.attempts = search.crash_streak = search.ring_count = 0
        search.next_run_at, search.last_rung_at = moment, None
        search.cancel_requested_at = search.finished_at = search.stop_reason = search.error = None
    return EventKind.RESUME_REQUESTED


def _conflict(search: Search, request: Action) -> StateConflict:
    possible = ", ".join(allowed_requests(search.state)) or "none"
    return StateConflict(
        f"search {search.id} is {search.state}; it cannot be {_PAST_PARTICIPLES[request]}. "
        f"Requests possible in this state: {possible}",
        state=search.state,
    )
