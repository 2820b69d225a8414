"""The files that a search leaves beside its network, or why it has none."""

from __future__ import annotations

from api.problems import ProblemError, ProblemType
from api.search_responses import POLL_S
from store.models import Artifact, Search
from store.states import SearchState
from store.stores import Stores


def find_file(stores: Stores, search: Search, kind: str, noun: str, not_ready: ProblemType) -> Artifact:
    """The file of this kind; `noun` names it to users.

    Raises:
        ProblemError: `not_ready`: it is not written yet, or never will be.
    """
    if search.best_arch_id is not None:
        artifact = stores.architectures.artifact(search.best_arch_id, kind, search_id=search.id)
        if artifact is not None:
            return artifact
    reasons = {
        SearchState.CANCELLED: f"was cancelled, so it has no {noun}; resume it to have one",
        SearchState.FAILED: f"failed, so it has no {noun}; its `error` says why",
        SearchState.PAUSED: f"is paused; its {noun} is written when it ends, so resume it",
    }
    waits = not search.state.final and search.state != SearchState.PAUSED
    reason = reasons.get(search.state, f"has no {noun}; its events say why")
    if waits:
        reason = f"is {search.state}; its {noun} will be available once it has succeeded"
    headers = {"Retry-After": str(POLL_S)} if waits else None
    raise ProblemError(not_ready, f"search {search.id} {reason}", headers=headers, state=search.state)
