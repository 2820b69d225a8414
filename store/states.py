"""The states of searches and data sets, which may follow which, and the words for how searches and attempts end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class SearchState(StrEnum):
    """Where a search is in its life. The states in `CLAIMED` hold a lease, those in `FINAL` are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in FINAL


ALLOWED: Mapping[SearchState, frozenset[SearchState]] = {
    SearchState.QUEUED: frozenset({SearchState.RUNNING, SearchState.PAUSED, SearchState.CANCELLED}),
    SearchState.RUNNING: frozenset(
        {
            SearchState.QUEUED,
            SearchState.PAUSING,
            SearchState.CANCELLING,
            SearchState.SUCCEEDED,
            SearchState.FAILED,
        }
    ),
    # A search that finishes, or fails for good, before it hears the pause has nothing left to go on with.
    SearchState.PAUSING: frozenset(
        {
            SearchState.RUNNING,
            SearchState.PAUSED,
            SearchState.CANCELLING,
            SearchState.SUCCEEDED,
            SearchState.FAILED,
        }
    ),
    SearchState.PAUSED: frozenset({SearchState.QUEUED, SearchState.CANCELLED}),
    SearchState.CANCELLING: frozenset({SearchState.CANCELLED}),
    # Ends, unless a user asks to resume: then the search goes on from its last run state.
    SearchState.CANCELLED: frozenset({SearchState.QUEUED}),
    SearchState.FAILED: frozenset({SearchState.QUEUED}),
    SearchState.SUCCEEDED: frozenset(),
}

FINAL = frozenset({SearchState.CANCELLED, SearchState.SUCCEEDED, SearchState.FAILED})
# Somebody holds, or held, a lease.
CLAIMED = frozenset({SearchState.RUNNING, SearchState.PAUSING, SearchState.CANCELLING})


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
    PAUSED = "paused"
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


class DatasetState(StrEnum):
    """Where a data set is: only a ready one can be searched on; an invalid one has a report that says why."""

    CHECKING = "checking"
    READY = "ready"
    INVALID = "invalid"
