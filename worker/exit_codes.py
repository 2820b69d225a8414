"""The exit codes of a search's process, and what each of them means for the search."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

from autonl_core.errors import is_disk_full, is_out_of_memory
from store.states import ExitClass


class ExitCode(IntEnum):
    """What the child says by leaving. Any other code, and every signal, is a crash."""

    FINISHED = 0  # the result is in the store
    REFUSED = 2  # an error the user must act on is in the store
    CRASHED = 70
    OUT_OF_MEMORY = 71
    DISK_FULL = 73
    GAVE_BACK = 75  # saved on request, to go on later or elsewhere
    CANCELLED = 76  # saved on request, not to go on
    LEASE_LOST = 77  # a write was refused: somebody else owns the search


_CRASHES: dict[int, ExitClass] = {
    ExitCode.OUT_OF_MEMORY: ExitClass.OUT_OF_MEMORY,
    ExitCode.DISK_FULL: ExitClass.DISK_FULL,
}


def crash_code(error: BaseException) -> ExitCode:
    """The exit code of an exception that nobody meant to raise."""
    if is_disk_full(error):
        return ExitCode.DISK_FULL
    if isinstance(error, RuntimeError) and "unexpected pos" in str(error):
        return ExitCode.DISK_FULL  # how torch says that a write came out short
    if is_out_of_memory(error):
        return ExitCode.OUT_OF_MEMORY
    return ExitCode.CRASHED


def exit_with(main: Callable[[str, int], ExitCode]) -> NoReturn:
    """Run `main` with the two arguments of this process, and end it with the exit code that tells how that went."""
    try:
        code = main(sys.argv[1], int(sys.argv[2]))
    except Exception as error:  # noqa: BLE001  (the last stop: told in the log and by the exit code)
        traceback.print_exc()
        code = crash_code(error)
    sys.exit(code)


def crash_class(error: BaseException) -> ExitClass:
    """The same as a class, for an exception in the supervisor itself."""
    return _CRASHES.get(crash_code(error), ExitClass.CRASHED)


def crash_of(returncode: int, last_line: str, memory_ran_out: bool = False) -> tuple[ExitClass, str]:
    """The class of a crash, and a sentence that tells it.

    Args:
        last_line: the end of the attempt's log.
        memory_ran_out: the kernel ended a process of this worker to get memory back while the attempt ran.
    """
    said = f": {last_line}" if last_line else ""
    if returncode < 0:
        name = signal.Signals(-returncode).name if -returncode in set(signal.Signals) else f"signal {-returncode}"
        if name == "SIGKILL" and memory_ran_out:
            return ExitClass.OUT_OF_MEMORY, f"the kernel ended the process because memory ran out{said}"
        exit_class = ExitClass.KILLED if name in ("SIGKILL", "SIGTERM", "SIGINT") else ExitClass.CRASHED
        return exit_class, f"the process was ended by {name}{said}"
    if returncode in (ExitCode.FINISHED, ExitCode.REFUSED):
        return ExitClass.CRASHED, f"the process left with code {returncode} but stored no result{said}"
    return _CRASHES.get(returncode, ExitClass.CRASHED), f"the process left with code {returncode}{said}"
