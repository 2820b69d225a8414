"""The rows of each search, the invariants of its history, and the comparison with a model's prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from autonl_core.spec.progress import KEPT_RUN_STATES
from store.models import Attempt, Event, RunState, Search
from store.states import SearchState
from store.stores import Stores
from tests.store.lifecycle_model import CLAIMED, MAX_ATTEMPTS, Expected

FINAL_EVENTS = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Rows:
    """All rows of one search."""

    search: Search
    events: Sequence[Event]
    attempts: Sequence[Attempt]
    run_states: Sequence[RunState]


def all_rows(stores: Stores) -> dict[str, Rows]:
    """The rows of every search, by its id."""
    with stores.database.read_scope() as session:
        searches = session.scalars(select(Search)).all()
        events = session.scalars(select(Event).order_by(Event.seq)).all()
        attempts = session.scalars(select(Attempt).order_by(Attempt.fence)).all()
        run_states = session.scalars(select(RunState).order_by(RunState.step)).all()
    return {
        search.id: Rows(
            search,
            [event for event in events if event.search_id == search.id],
            [attempt for attempt in attempts if attempt.search_id == search.id],
            [run_state for run_state in run_states if run_state.search_id == search.id],
        )
        for search in searches
    }


def check_history(rows: Rows) -> None:
    """Check the invariants that hold for every search, whatever happened to it; they do not depend on the model."""
    search, claimed = rows.search, rows.search.state in CLAIMED
    assert [event.seq for event in rows.events] == list(range(1, search.event_seq + 1))
    fences = [event.fence for event in rows.events]
    assert fences == sorted(fences)
    has_ended = False  # since the search was created, or last resumed
    for event in rows.events:
        assert event.kind == "resume_requested" or not has_ended, f"{event.kind} after the search ended"
        has_ended = event.kind in FINAL_EVENTS
    assert has_ended == search.state.final
    assert [attempt.fence for attempt in rows.attempts] == list(range(1, search.fence + 1))
    open_attempts = [attempt.fence for attempt in rows.attempts if attempt.ended_at is None]
    assert open_attempts == ([search.fence] if claimed else [])
    assert (search.owner is not None) == (search.lease_until is not None) == claimed
    assert search.attempts <= MAX_ATTEMPTS
    assert len(rows.run_states) <= KEPT_RUN_STATES


def check_prediction(rows: Rows, expected: Expected) -> None:
    """Check that the rows are what the model predicts, event by event."""
    search = rows.search
    assert search.state is expected.state
    assert [(event.fence, event.kind) for event in rows.events] == expected.events
    assert [attempt.exit_class for attempt in rows.attempts] == expected.exits
    assert [(run_state.step, run_state.fence) for run_state in rows.run_states] == expected.kept_run_states
    assert search.fence == expected.fence
    assert search.attempts == expected.attempts
    assert search.crash_streak == len(expected.crashes)
    assert search.saved_step == len(expected.saved)
    assert (search.error["type"] if search.error else None) == expected.error_type
    assert (search.result is not None) == (expected.state == SearchState.SUCCEEDED)
    assert (search.finished_at is not None) == (search.stop_reason is not None) == expected.final
    assert search.idempotency_key == expected.key
    assert search.ring_count == expected.notifications
    assert (search.phase, search.metric_seq) == (expected.phase, expected.points)
    assert search.best_arch_id == expected.best_arch_id
