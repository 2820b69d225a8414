"""The states of a search, which may follow which, and the words for how searches and attempts end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class SearchState(StrEnum):
    """Where a search is in its life. `cancelling` still holds its lease; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in FINAL


ALLOWED: Mapping[SearchState, frozenset[SearchState]] = {
    SearchState.QUEUED: frozenset({SearchState.RUNNING, SearchState.CANCELLED}),
    SearchState.RUNNING: frozenset(
        {SearchState.QUEUED, SearchState.CANCELLING, SearchState.SUCCEEDED, SearchState.FAILED}
    ),
    SearchState.CANCELLING: frozenset({SearchState.CANCELLED}),
    SearchState.CANCELLED: frozenset(),
    SearchState.SUCCEEDED: frozenset(),
    SearchState.FAILED: frozenset(),
}

FINAL = frozenset(state for state, following in ALLOWED.items() if not following)
CLAIMED = frozenset({SearchState.RUNNING, SearchState.CANCELLING})  # somebody holds, or held, a lease


class StopReason(StrEnum):
    """Why a final search stopped."""

    CONVERGED = "converged"
    BUDGET_SPENT = "budget_spent"
    COLLAPSED = "collapsed"
    CANCELLED = "cancelled"
    ERROR = "error"


class ExitClass(StrEnum):
    """How an attempt ended. The classes in `CRASHES` are retried with backoff and counted as a streak."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"  # an error the user must act on: trying again cannot help
    CANCELLED = "cancelled"
    DRAINED = "drained"  # the worker was told to stop; the search goes on elsewhere
    CRASHED = "crashed"
    KILLED = "killed"  # by a signal from outside; the kernel's out-of-memory killer is the usual sender
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    STALLED = "stalled"  # no progress for too long
    LEASE_LOST = "lease_lost"  # no beat for longer than the lease


CRASHES = frozenset(
    {
        ExitClass.CRASHED,
        ExitClass.KILLED,
        ExitClass.OUT_OF_MEMORY,
        ExitClass.DISK_FULL,
        ExitClass.STALLED,
        ExitClass.LEASE_LOST,
    }
)
