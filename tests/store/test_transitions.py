"""The state machine of a search: its table, and that nothing else changes a state."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from store.errors import ForbiddenTransition
from store.models import Search
from store.states import CLAIMED, FINAL, SearchState
from store.transitions import TRANSITIONS, USER_REQUESTS, Action, allowed_requests, is_done, sources_of, transition
from tests.store.lifecycle_model import NEXT_STATES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("state", SearchState)
def test_every_action_in_every_state(state: SearchState, action: Action) -> None:
    search = Search(id="a1", state=state)
    target = TRANSITIONS[action].get(state)
    if target is None:
        with pytest.raises(ForbiddenTransition, match=f"search a1 is {state}; {action} is possible only from: "):
            transition(search, action)
        assert search.state is state
    else:
        assert transition(search, action) is target
        assert search.state is target


def test_the_table_has_exactly_the_steps_of_the_model() -> None:
    found: dict[SearchState, set[SearchState]] = {state: set() for state in SearchState}
    for moves in TRANSITIONS.values():
        for source, target in moves.items():
            found[source].add(target)
    assert found == NEXT_STATES


def test_only_users_move_a_final_search() -> None:
    moved_by = {action for action in Action if set(sources_of(action)) & FINAL}
    assert moved_by == {Action.RESUME}


def test_a_claim_takes_queued_searches_only_and_leads_to_one_state() -> None:
    assert sources_of(Action.CLAIM) == (SearchState.QUEUED,)
    assert set(TRANSITIONS[Action.CLAIM].values()) == {SearchState.RUNNING}


def test_attempts_end_in_claimed_states_only() -> None:
    for action in set(Action) - set(USER_REQUESTS) - {Action.CLAIM}:
        assert set(sources_of(action)) <= CLAIMED
        assert not set(TRANSITIONS[action].values()) & CLAIMED


def test_requests_are_listed_in_a_fixed_order() -> None:
    assert allowed_requests(SearchState.QUEUED) == ("cancel", "pause")
    assert allowed_requests(SearchState.PAUSING) == ("cancel", "resume")
    assert allowed_requests(SearchState.SUCCEEDED) == ()


@pytest.mark.parametrize("state", SearchState)
@pytest.mark.parametrize("request_name", USER_REQUESTS)
def test_a_request_that_changes_something_is_not_done_yet(state: SearchState, request_name: Action) -> None:
    assert not (request_name in allowed_requests(state) and is_done(request_name, state))


def test_no_other_code_changes_the_state_of_a_search() -> None:
    assigned, updated = set(), set()
    for folder in ("api", "store", "worker"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    assigned |= {path} if ast.unparse(node) == "search.state" else set()
                elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
                    updated |= {path for keyword in node.keywords if keyword.arg == "state"}
    assert assigned == {"store/transitions.py"}
    assert updated == {"store/claims.py"}  # the claim, a conditional UPDATE
