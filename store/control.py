"""What users may ask of a search that exists: to cancel it, to pause it, to let it go on.

Each request locks the row first, so whichever of it and a worker's ending comes first wins, and the answer is the state
that came of it. A running search hears of it from its supervisor, which reads the row as it beats.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from store import events
from store.db import Database, now
from store.errors import StateConflict
from store.leases import lock_row
from store.models import Search
from store.searches import unknown_search
from store.states import SearchState, StopReason


class ControlStore:
    """Cancel, pause and resume. All of them may be repeated: asking for what is so already changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cancel(self, search_id: str) -> Search:
        """End a waiting search at once, ask a running one to stop; either keeps the best it found.

        Raises:
            NotFound: no such search.
            StateConflict: it already succeeded or failed.
        """
        with self._database.session_scope() as session:
            search, moment = _lock(session, search_id), now(session)
            if search.state in (SearchState.QUEUED, SearchState.PAUSED):
                search.stop_reason, search.finished_at = StopReason.CANCELLED, moment
                search.cancel_requested_at = moment
                _move(session, search, SearchState.CANCELLED, "cancelled", moment)
            elif search.state in (SearchState.RUNNING, SearchState.PAUSING):
                search.cancel_requested_at = moment
                _move(session, search, SearchState.CANCELLING, "cancel_requested", moment)
            elif search.state not in (SearchState.CANCELLING, SearchState.CANCELLED):
                raise _refused(search, "cancelled")
            return search

    def pause(self, search_id: str) -> Search:
        """Hold a queued search back at once, ask a running one to save and free its worker.

        Raises:
            NotFound: no such search.
            StateConflict: it is being cancelled, or is final.
        """
        with self._database.session_scope() as session:
            search, moment = _lock(session, search_id), now(session)
            if search.state == SearchState.QUEUED:
                _move(session, search, SearchState.PAUSED, "paused", moment)
            elif search.state == SearchState.RUNNING:
                _move(session, search, SearchState.PAUSING, "pause_requested", moment)
            elif search.state not in (SearchState.PAUSING, SearchState.PAUSED):
                raise _refused(search, "paused")
            return search

    def resume(self, search_id: str) -> Search:
        """Let a paused, failed or cancelled search go on from its last run state, with a clean record of crashes.

        A search that is still pausing takes it back: its process saves and leaves, and the next attempt goes on.

        Raises:
            NotFound: no such search.
            StateConflict: it is being cancelled, or succeeded.
        """
        with self._database.session_scope() as session:
            search, moment = _lock(session, search_id), now(session)
            if search.state in (SearchState.PAUSED, SearchState.FAILED, SearchState.CANCELLED):
                search.attempts = search.crash_streak = search.ring_count = 0
                search.next_run_at, search.last_rung_at = moment, None
                search.cancel_requested_at = search.finished_at = search.stop_reason = search.error = None
                _move(session, search, SearchState.QUEUED, "resume_requested", moment)
            elif search.state == SearchState.PAUSING:
                _move(session, search, SearchState.RUNNING, "resume_requested", moment)
            elif search.state not in (SearchState.QUEUED, SearchState.RUNNING):
                raise _refused(search, "resumed")
            return search


def _lock(session: Session, search_id: str) -> Search:
    """The row, locked against other writers until the transaction ends. Raises NotFound."""
    search = lock_row(session, Search.id == search_id)
    if search is None:
        raise unknown_search(search_id)
    return search


def _move(session: Session, search: Search, state: SearchState, kind: str, moment: datetime) -> None:
    search.state = state
    events.append(session, search, kind, moment)


def _refused(search: Search, wanted: str) -> StateConflict:
    return StateConflict(f"search {search.id} is {search.state}; it cannot be {wanted} any more", state=search.state)
