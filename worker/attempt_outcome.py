"""What becomes of an attempt whose process ended without closing its search."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import get_args

from autonl_core.spec.progress import StopRequest
from worker.exit_codes import ExitCode
from worker.leased_process import Cause, ProcessEnd

_RECORDED = (ExitCode.FINISHED, ExitCode.REFUSED, ExitCode.LEASE_LOST)  # the process closed its search, or lost it


class Outcome(Enum):
    """How an attempt is recorded when its process did not close the search."""

    CANCELLED = auto()
    SPENT = auto()
    GAVE_BACK = auto()
    INTERRUPTED = auto()
    STALLED = auto()
    OTHER_VERSION = auto()
    CRASHED = auto()


# By the cause of the end, and then by the stop request (if the process was killed for ignoring it) or the exit code.
_OUTCOMES: Mapping[tuple[Cause, StopRequest | int | None], Outcome] = {
    (Cause.EXITED, ExitCode.CANCELLED): Outcome.CANCELLED,
    (Cause.EXITED, ExitCode.SPENT): Outcome.SPENT,
    (Cause.EXITED, ExitCode.GAVE_BACK): Outcome.GAVE_BACK,
    (Cause.EXITED, ExitCode.OTHER_VERSION): Outcome.OTHER_VERSION,
    (Cause.GRACE_OVER, "cancel"): Outcome.CANCELLED,
    (Cause.GRACE_OVER, "spent"): Outcome.SPENT,
    (Cause.GRACE_OVER, "pause"): Outcome.GAVE_BACK,
    (Cause.GRACE_OVER, "drain"): Outcome.GAVE_BACK,
    (Cause.STALLED, None): Outcome.STALLED,
    **dict.fromkeys(((Cause.LEASE_LOST, request) for request in (None, *get_args(StopRequest))), Outcome.INTERRUPTED),
}


def outcome_of(end: ProcessEnd) -> Outcome:
    """What becomes of an attempt whose process ended like this; a crash unless the table says otherwise."""
    key: StopRequest | int | None = end.returncode if end.cause == Cause.EXITED else end.stop_request
    return _OUTCOMES.get((end.cause, key), Outcome.CRASHED)


def may_be_of_device(end: ProcessEnd) -> bool:
    """Whether what a search computes on may be the reason for this end: a crash or a stall that was not recorded."""
    recorded = end.cause == Cause.EXITED and end.returncode in _RECORDED
    return not recorded and outcome_of(end) in (Outcome.CRASHED, Outcome.STALLED)
