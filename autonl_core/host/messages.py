"""Messages of a confined process to the one that started it: one JSON object of one entry per line of its output."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from autonl_core.errors import is_disk_full, is_out_of_memory
from autonl_core.host.parent import end_with_parent

RESULT = "result"  # the kind of the last message
FAILED, OUT_OF_MEMORY, DISK_FULL = 1, 3, 4  # exit codes of a process that sent no result


class MessagePipe:
    """The standard output of this process, from now on for messages only: what is printed goes to the log instead."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(self, kind: str, value: Any) -> None:
        """Send plain JSON data. Raises BrokenPipeError if the other process is gone."""
        rest = memoryview(json.dumps({kind: value}).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def answer_task(work: Callable[[bytes, MessagePipe], Mapping[str, Any]]) -> NoReturn:
    """Do `work` with the task on the first line of standard input, send what it returns as the result, and exit."""
    end_with_parent()
    pipe = MessagePipe()
    try:
        pipe.send(RESULT, work(sys.stdin.buffer.readline(), pipe))
    except Exception as error:  # noqa: BLE001  (outermost frame: logged, and reported by the exit code)
        traceback.print_exc()
        sys.exit(DISK_FULL if is_disk_full(error) else OUT_OF_MEMORY if is_out_of_memory(error) else FAILED)
    sys.exit(0)
