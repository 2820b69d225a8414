"""The state machine of a search: one table, and the only function that changes `Search.state`.

A claim is the one exception: it is a conditional UPDATE, whose allowed states come from `sources_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from store.errors import ForbiddenTransition
from store.models import Search
from store.states import SearchState


class Action(StrEnum):
    """What changes the state of a search. Users request the first three, claims and attempts cause the others."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    SPEND = "spend"
    REQUEUE = "requeue"
    FINISH_PAUSE = "finish_pause"
    FINISH_CANCEL = "finish_cancel"


TRANSITIONS: Mapping[Action, Mapping[SearchState, SearchState]] = {
    Action.CANCEL: {
        SearchState.QUEUED: SearchState.CANCELLED,
        SearchState.PAUSED: SearchState.CANCELLED,
        SearchState.RUNNING: SearchState.CANCELLING,
        SearchState.PAUSING: SearchState.CANCELLING,
    },
    Action.PAUSE: {
        SearchState.QUEUED: SearchState.PAUSED,
        SearchState.RUNNING: SearchState.PAUSING,
    },
    # A cancelled or failed search can be resumed from its last run state.
    Action.RESUME: {
        SearchState.PAUSED: SearchState.QUEUED,
        SearchState.FAILED: SearchState.QUEUED,
        SearchState.CANCELLED: SearchState.QUEUED,
        SearchState.PAUSING: SearchState.RUNNING,
    },
    Action.CLAIM: {SearchState.QUEUED: SearchState.RUNNING},
    # A search that succeeds or fails before it notices the request to pause has nothing left to resume.
    Action.SUCCEED: {SearchState.RUNNING: SearchState.SUCCEEDED, SearchState.PAUSING: SearchState.SUCCEEDED},
    Action.FAIL: {SearchState.RUNNING: SearchState.FAILED, SearchState.PAUSING: SearchState.FAILED},
    # It used the compute that it may use: as if cancelled.
    Action.SPEND: {SearchState.RUNNING: SearchState.CANCELLED, SearchState.PAUSING: SearchState.CANCELLED},
    Action.REQUEUE: {SearchState.RUNNING: SearchState.QUEUED},
    Action.FINISH_PAUSE: {SearchState.PAUSING: SearchState.PAUSED},
    Action.FINISH_CANCEL: {SearchState.CANCELLING: SearchState.CANCELLED},
}

USER_REQUESTS = (Action.CANCEL, Action.PAUSE, Action.RESUME)


def transition(search: Search, action: Action) -> SearchState:
    """Move `search`, whose row this transaction must have locked, to the state that `action` leads to; returns it.

    Raises:
        ForbiddenTransition: the table has no such transition from the search's current state.
    """
    target = TRANSITIONS[action].get(search.state)
    if target is None:
        allowed = ", ".join(sources_of(action))
        raise ForbiddenTransition(f"search {search.id} is {search.state}; {action} is possible only from: {allowed}")
    search.state = target
    return target


def sources_of(action: Action) -> tuple[SearchState, ...]:
    """The states in which `action` changes something."""
    return tuple(TRANSITIONS[action])


def is_done(request: Action, state: SearchState) -> bool:
    """Whether a search in `state` is already where `request` leads, so that repeating it changes nothing."""
    return state in TRANSITIONS[request].values()


def allowed_requests(state: SearchState) -> tuple[Action, ...]:
    """The requests of users that change something in `state`, always in the same order."""
    return tuple(request for request in USER_REQUESTS if state in TRANSITIONS[request])
