"""The exit codes of search and check processes, and what each of them means."""

from __future__ import annotations

import logging
import re
import signal
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

from autonl_core.errors import is_disk_full, is_out_of_memory
from store.states import ExitClass

log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """What the process reports to its parent. Any other code, and every signal, is a crash."""

    FINISHED = 0  # the result is in the store
    REFUSED = 2  # an error that the user has to act on is in the store
    CRASHED = 70
    OUT_OF_MEMORY = 71
    DISK_FULL = 73
    GAVE_BACK = 75  # saved on request, to be resumed later or on another worker
    CANCELLED = 76  # saved on request, not to be resumed
    SPENT = 79  # saved, because it has used the compute that it may use
    LEASE_LOST = 77  # a write was refused: another attempt owns the search
    OTHER_VERSION = 78  # another version stored the search, and this one does not know all of it


_CRASH_CLASSES: dict[int, ExitClass] = {
    ExitCode.OUT_OF_MEMORY: ExitClass.OUT_OF_MEMORY,
    ExitCode.DISK_FULL: ExitClass.DISK_FULL,
}
_PROGRESS = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ (INFO|DEBUG) ")  # as a line of the log begins
_SENT_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT")


def exit_code_of(stop_request: str) -> ExitCode:
    """How a search process exits that stopped on request."""
    return {"cancel": ExitCode.CANCELLED, "spent": ExitCode.SPENT}.get(stop_request, ExitCode.GAVE_BACK)


def crash_code(error: BaseException) -> ExitCode:
    """The exit code for an unexpected exception."""
    if is_disk_full(error):
        return ExitCode.DISK_FULL
    if isinstance(error, RuntimeError) and "unexpected pos" in str(error):
        return ExitCode.DISK_FULL  # how torch reports a short write
    if is_out_of_memory(error):
        return ExitCode.OUT_OF_MEMORY
    return ExitCode.CRASHED


def exit_with(main: Callable[[], ExitCode]) -> NoReturn:
    """Run `main`, and exit with the code it returns.

    An exception that escapes `main` goes to the log and becomes the exit code of its kind of crash.
    """
    try:
        code = main()
    except Exception as error:
        log.critical("unexpected %s", type(error).__name__, exc_info=True)
        code = crash_code(error)
    sys.exit(code)


def crash_class(error: BaseException) -> ExitClass:
    """How the database classifies a crash caused by `error`, raised in the supervisor."""
    return _CRASH_CLASSES.get(crash_code(error), ExitClass.CRASHED)


def describe_crash(returncode: int, log_tail: str, memory_ran_out: bool = False) -> tuple[ExitClass, str]:
    """The class of a crash, and a sentence that describes it.

    Args:
        log_tail: the end of the process's log; its last line that does not merely say how far it was is quoted.
        memory_ran_out: the kernel killed a process of this control group to reclaim memory as this one ended.
    """
    lines = [line for line in log_tail.strip().splitlines() if not _PROGRESS.match(line)]
    quoted = f": {lines[-1]}" if lines else ""
    if returncode < 0:
        name = signal.Signals(-returncode).name if -returncode in set(signal.Signals) else f"signal {-returncode}"
        if name == "SIGKILL" and memory_ran_out:
            return ExitClass.OUT_OF_MEMORY, f"the kernel killed the process because memory ran out{quoted}"
        exit_class = ExitClass.KILLED if name in _SENT_FROM_OUTSIDE else ExitClass.CRASHED
        return exit_class, f"the process was terminated by {name}{quoted}"
    if returncode in (ExitCode.FINISHED, ExitCode.REFUSED):
        return ExitClass.CRASHED, f"the process exited with code {returncode} but stored no result{quoted}"
    exit_class = _CRASH_CLASSES.get(returncode, ExitClass.CRASHED)
    return exit_class, f"the process exited with code {returncode}{quoted}"
