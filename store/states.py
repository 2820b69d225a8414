"""The states of searches, datasets and weight sets, and how searches and attempts end.

The transitions of searches are in `transitions.py`.
"""

from __future__ import annotations

from enum import StrEnum


class SearchState(StrEnum):
    """The state of a search. Those in `CLAIMED` hold a lease, those in `FINAL` are final until a user resumes."""

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


FINAL = frozenset({SearchState.CANCELLED, SearchState.SUCCEEDED, SearchState.FAILED})
# The search has an owner, whose lease may have expired.
CLAIMED = frozenset({SearchState.RUNNING, SearchState.PAUSING, SearchState.CANCELLING})


class StopReason(StrEnum):
    """Why a final search stopped."""

    CONVERGED = "converged"
    BUDGET_SPENT = "budget_spent"  # it used the compute seconds that it may use
    COLLAPSED = "collapsed"
    CANCELLED = "cancelled"
    ERROR = "error"


class ExitClass(StrEnum):
    """How an attempt ended. Those in `CRASHES` are retried with backoff and count towards the crash streak."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"  # an error that the user must fix; a retry cannot help
    CANCELLED = "cancelled"
    PAUSED = "paused"
    DRAINED = "drained"  # the worker was asked to stop; the search continues elsewhere
    CRASHED = "crashed"
    KILLED = "killed"  # by a signal from outside, usually from the kernel's out-of-memory killer
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    STALLED = "stalled"  # no progress for too long
    LEASE_LOST = "lease_lost"  # its supervisor did not beat in time; says nothing about the search, so it is no crash


CRASHES = frozenset(
    {
        ExitClass.CRASHED,
        ExitClass.KILLED,
        ExitClass.OUT_OF_MEMORY,
        ExitClass.DISK_FULL,
        ExitClass.STALLED,
    }
)


class DatasetState(StrEnum):
    """The state of a dataset. Only a ready one can be searched on; the report of an invalid one says why."""

    CHECKING = "checking"
    READY = "ready"
    INVALID = "invalid"


class WeightSetState(StrEnum):
    """The state of a weight set. Only a ready one can be used; the problems of a refused one say why."""

    CHECKING = "checking"
    READY = "ready"
    REFUSED = "refused"
