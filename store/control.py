"""What users can request of an existing search: cancel, pause, resume.

Each request locks the row first. Of a request and the end of an attempt, the one that gets the lock first wins, and the
answer is the resulting state. The supervisor of a running search learns of the request when it reads the row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from autonl_core.spec.event_kinds import EventKind
from store import events
from store.db import Database, now
from store.errors import StateConflict
from store.models import Search
from store.states import SearchState, StopReason
from store.transitions import Action, allowed_requests, is_done, transition
from store.unchanged import lock_search

_PAST_PARTICIPLES = {Action.CANCEL: "cancelled", Action.PAUSE: "paused", Action.RESUME: "resumed"}


class ControlStore:
    """Cancel, pause and resume. All of them are idempotent: repeating a request changes nothing.

    Each may name `versions` that the caller has seen, and raises SearchChanged unless the search still has one of them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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

    def resume(self, search_id: str, versions: Collection[int] | None = None) -> Search:
        """Continue a paused, failed or cancelled search from its last run state, with its crash counters reset.

        For a search that is still pausing, the pause is withdrawn: its process saves and exits, and the next attempt
        continues.

        Raises:
            NotFound: no such search.
            StateConflict: it is being cancelled, or succeeded.
        """
        return self._request(Action.RESUME, search_id, versions, _apply_resume)

    def _request(
        self,
        request: Action,
        search_id: str,
        versions: Collection[int] | None,
        apply: Callable[[Search, datetime], EventKind],
    ) -> Search:
        """Change the state, then let `apply` set what belongs to the new state and name the event."""
        with self._database.session_scope() as session:
            search, moment = lock_search(session, search_id, versions), now(session)
            if request in allowed_requests(search.state):
                transition(search, request)
                events.append(session, search, apply(search, moment), moment)
            elif not is_done(request, search.state):
                raise _conflict(search, request)
            return search


def _apply_cancel(search: Search, moment: datetime) -> EventKind:
    search.cancel_requested_at = moment
    if search.state == SearchState.CANCELLING:
        return EventKind.CANCEL_REQUESTED
    search.stop_reason, search.finished_at = StopReason.CANCELLED, moment
    return EventKind.CANCELLED


def _apply_pause(search: Search, _moment: datetime) -> EventKind:
    return EventKind.PAUSE_REQUESTED if search.state == SearchState.PAUSING else EventKind.PAUSED


def _apply_resume(search: Search, moment: datetime) -> EventKind:
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
