"""Requests of users, in every state of a search."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api.schemas.searches import SearchView
from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.errors import IdempotencyConflict, NotFound, StateConflict
from store.models import Search
from store.states import ExitClass, SearchState, StopReason
from store.stores import Stores
from store.transitions import allowed_requests
from tests.store.sample_rows import CONFIG, FILES, claim, crash, kinds, let_time_pass, queue_search, result

REQUESTS: dict[str, Callable[[Stores, str], Search]] = {
    "cancel": lambda stores, search_id: stores.control.cancel(search_id),
    "pause": lambda stores, search_id: stores.control.pause(search_id),
    "resume": lambda stores, search_id: stores.control.resume(search_id),
}
# The resulting state; where a state is missing, the request is refused.
OUTCOMES: dict[str, dict[SearchState, SearchState]] = {
    "cancel": {
        SearchState.QUEUED: SearchState.CANCELLED,
        SearchState.PAUSED: SearchState.CANCELLED,
        SearchState.RUNNING: SearchState.CANCELLING,
        SearchState.PAUSING: SearchState.CANCELLING,
        SearchState.CANCELLING: SearchState.CANCELLING,
        SearchState.CANCELLED: SearchState.CANCELLED,
    },
    "pause": {
        SearchState.QUEUED: SearchState.PAUSED,
        SearchState.RUNNING: SearchState.PAUSING,
        SearchState.PAUSING: SearchState.PAUSING,
        SearchState.PAUSED: SearchState.PAUSED,
    },
    "resume": {
        SearchState.PAUSED: SearchState.QUEUED,
        SearchState.FAILED: SearchState.QUEUED,
        SearchState.CANCELLED: SearchState.QUEUED,
        SearchState.PAUSING: SearchState.RUNNING,
        SearchState.QUEUED: SearchState.QUEUED,
        SearchState.RUNNING: SearchState.RUNNING,
    },
}


def search_in(stores: Stores, state: SearchState) -> str:
    """Create a search and bring it to `state`; returns its id."""
    search_id = queue_search(stores)
    if state == SearchState.QUEUED:
        return search_id
    lease = claim(stores)
    if state in (SearchState.PAUSING, SearchState.PAUSED):
        stores.control.pause(search_id)
    if state in (SearchState.CANCELLING, SearchState.CANCELLED):
        stores.control.cancel(search_id)
    if state in (SearchState.PAUSED, SearchState.CANCELLED):
        stores.claims.gave_back(lease)
    if state == SearchState.SUCCEEDED:
        stores.claims.finish(lease, result(), FILES)
    if state == SearchState.FAILED:
        stores.claims.fail(lease, "dataset-error", "no images")
    assert stores.searches.get(search_id).state is state
    return search_id


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("state", SearchState)
def test_every_request_in_every_state_changes_something_exactly_where_the_api_offers_it(
    stores: Stores, request_name: str, state: SearchState
) -> None:
    search_id = search_in(stores, state)
    outcome = OUTCOMES[request_name].get(state)
    before = kinds(stores, search_id)
    row = stores.searches.get(search_id)
    offered = SearchView.from_row(row, [], None, is_downloadable=False, supernet=None, of_all_budgets=[]).links
    if outcome is None:
        with pytest.raises(StateConflict, match=f"is {state}; it cannot be") as conflict:
            REQUESTS[request_name](stores, search_id)
        assert conflict.value.state == state
    else:
        assert REQUESTS[request_name](stores, search_id).state is outcome
        assert stores.searches.get(search_id).state is outcome
    changed = outcome is not None and outcome is not state
    assert changed == (request_name in allowed_requests(state)) == (request_name in offered)
    assert len(kinds(stores, search_id)) == len(before) + changed  # an event for a change, and only for a change


@pytest.mark.parametrize("ask", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_for_an_unknown_search_names_it(stores: Stores, ask: Callable[[Stores, str], Search]) -> None:
    with pytest.raises(NotFound, match="no search 'nope'"):
        ask(stores, "nope")


def test_a_queued_search_that_is_cancelled_is_never_claimed(stores: Stores) -> None:
    search = stores.control.cancel(queue_search(stores))
    assert search.stop_reason is StopReason.CANCELLED
    assert search.finished_at is not None
    assert stores.claims.claim("worker-1") is None


def test_a_repeated_cancel_keeps_the_time_of_the_first(stores: Stores) -> None:
    search_id = search_in(stores, SearchState.RUNNING)
    first = stores.control.cancel(search_id)
    assert stores.control.cancel(search_id).cancel_requested_at == first.cancel_requested_at


def test_a_failed_search_is_resumed_with_its_crash_counters_reset(stores: Stores) -> None:
    search_id = queue_search(stores)
    for _ in range(3):
        crash(stores, "why", ExitClass.DISK_FULL)
    search = stores.control.resume(search_id)
    assert (search.error, search.stop_reason, search.finished_at) == (None, None, None)
    assert (search.crash_streak, search.attempts) == (0, 0)
    assert (
        crash(stores, "again", ExitClass.DISK_FULL) is SearchState.QUEUED
    )  # the three before the resume no longer count
    assert claim(stores).fence == 5  # attempts are numbered on


class TestIdempotencyKeys:
    def test_a_key_expires_after_a_day_and_its_search_stays(self, stores: Stores) -> None:
        first = queue_search(stores, idempotency_key="a", body_sha256="1")
        let_time_pass(stores, first, seconds=24 * 3600 + 1)
        second, created = stores.searches.create(CONFIG, DIGITS, idempotency_key="a", body_sha256="2")
        assert created
        assert second.id != first
        assert stores.searches.get(first).idempotency_key is None

    def test_until_then_it_returns_its_search(self, stores: Stores) -> None:
        first = queue_search(stores, idempotency_key="a", body_sha256="1")
        let_time_pass(stores, first, seconds=24 * 3600 - 60)
        other = SearchConfig(dataset="digits", flops_budget=390_000)
        with pytest.raises(IdempotencyConflict):
            stores.searches.create(other, DIGITS, idempotency_key="a", body_sha256="2")
        again, created = stores.searches.create(CONFIG, DIGITS, idempotency_key="a", body_sha256="1")
        assert (again.id, created) == (first, False)
