"""Checks the rows and files that a service left behind: nothing was lost, nothing was done twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from autonl_core.files import sha256_of
from store.models import Event
from store.states import CLAIMED, ExitClass, SearchState
from store.stores import Stores
from tests.worker.scripted_process import chain

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})


def check_history(stores: Stores, accepted: Iterable[str], *, steps: int, done: bool = True) -> Counter[str]:
    """Check every invariant of every accepted search; returns the number of searches in each state.

    Args:
        steps: number of steps of a complete search; each saves one run state.
        done: whether every search must have ended by now.
    """
    states: Counter[str] = Counter()
    for search_id in accepted:
        search = stores.searches.get(search_id)  # raises if an accepted search is missing
        states[search.state] += 1
        events = stores.events.after(search_id)
        assert not done or search.state.final, f"{search_id} never ended: {search.state}"
        _check_order(events)
        _check_ends(events, search.state)
        _check_steps(events, search.state, steps)
        _check_attempts(stores, search_id)
        _check_files(stores, search_id, steps)
        assert (search.owner is None) == (search.state not in CLAIMED)
    return states


def _check_order(events: Sequence[Event]) -> None:
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].kind == "created"
    claims = [event.fence for event in events if event.kind == "claimed"]
    assert claims == list(range(1, len(claims) + 1))  # every claim takes the next fence
    for before, after in pairwise(events):
        assert before.fence <= after.fence, f"{after.kind} {after.seq} was written by an attempt that had been replaced"


def _check_ends(events: Sequence[Event], state: SearchState) -> None:
    """At most one end between two resume requests, and no event after it."""
    ended: str | None = None
    for event in events:
        if event.kind == "resume_requested":
            ended = None
            continue
        assert ended is None, f"{event.kind} after {ended}"
        ended = event.kind if event.kind in TERMINAL else None
    assert (ended == state) if state.final else ended is None


def _check_steps(events: Sequence[Event], state: SearchState, steps: int) -> None:
    """No step was accepted twice or left out."""
    accepted = [event.detail["step"] for event in events if event.kind == "run_state_saved"]
    assert accepted == list(range(1, len(accepted) + 1))
    assert state != SearchState.SUCCEEDED or len(accepted) == steps


def _check_attempts(stores: Stores, search_id: str) -> None:
    search = stores.searches.get(search_id)
    attempts = stores.searches.attempts(search_id)
    assert [attempt.fence for attempt in attempts] == list(range(1, search.fence + 1))
    assert search.attempts <= stores.settings.max_attempts
    open_attempts = [attempt.fence for attempt in attempts if attempt.exit_class is None]
    assert open_attempts == ([search.fence] if search.state in CLAIMED else [])
    succeeded = [attempt.fence for attempt in attempts if attempt.exit_class == ExitClass.SUCCEEDED]
    assert succeeded == ([search.fence] if search.state == SearchState.SUCCEEDED else [])


def _check_files(stores: Stores, search_id: str, steps: int) -> None:
    """Every file named in a row exists, with the content it had when it was recorded."""
    search = stores.searches.get(search_id)
    for saved in stores.updates.run_states(search_id):
        assert sha256_of(stores.settings.searches_dir / saved.path) == saved.sha256
    for artifact in stores.architectures.artifacts(search_id):
        with stores.artifacts.open(artifact.key) as file:
            content = file.read()
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
        if search.result is not None and search.result["checkpoint_sha256"] == artifact.sha256:
            assert content.decode() == chain(search_id, steps)  # as without any interruption
