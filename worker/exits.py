"""The exit codes of a search's process, and what each of them means for the search."""

from __future__ import annotations

import signal
from enum import IntEnum

from store.states import ExitClass


class ExitCode(IntEnum):
    """What the child says by leaving. Any other code, and every signal, is a crash."""

    FINISHED = 0  # the result is in the store
    REFUSED = 2  # an error the user must act on is in the store
    CRASHED = 70
    OUT_OF_MEMORY = 71
    DISK_FULL = 73
    DRAINED = 75  # saved on request, to go on elsewhere
    CANCELLED = 76  # saved on request, not to go on
    LEASE_LOST = 77  # a write was refused: somebody else owns the search


_CRASHES: dict[int, ExitClass] = {
    ExitCode.OUT_OF_MEMORY: ExitClass.OUT_OF_MEMORY,
    ExitCode.DISK_FULL: ExitClass.DISK_FULL,
}


def crash_of(returncode: int, last_line: str) -> tuple[ExitClass, str]:
    """The class of a crash, and a sentence that tells it. `last_line` is the end of the attempt's log."""
    said = f": {last_line}" if last_line else ""
    if returncode < 0:
        name = signal.Signals(-returncode).name if -returncode in set(signal.Signals) else f"signal {-returncode}"
        hint = ", most often sent by the kernel when memory runs out" if name == "SIGKILL" else ""
        exit_class = ExitClass.KILLED if name in ("SIGKILL", "SIGTERM", "SIGINT") else ExitClass.CRASHED
        return exit_class, f"the process was ended by {name}{hint}{said}"
    if returncode in (ExitCode.FINISHED, ExitCode.REFUSED):
        return ExitClass.CRASHED, f"the process left with code {returncode} but stored no result{said}"
    return _CRASHES.get(returncode, ExitClass.CRASHED), f"the process left with code {returncode}{said}"
