"""What processes of a dataset check have in common: a task, requests until the input ends, and bounded memory.

Beside others, such a process may allocate its share of the memory that the check may use; alone, all of it.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from autonl_core.data.decode_worker import OUT_OF_MEMORY
from autonl_core.data.listing import ListedFiles, Listing, ReaderTask

REQUEST = struct.Struct("<Q?")  # the number of items, and whether the process is alone
BLOCK = struct.Struct("<QQ")  # of an answer: the number of records, and the length of the text in bytes
_STATM = Path("/proc/self/statm")  # where the kernel tells the size of the address space, in pages

TaskT = TypeVar("TaskT", bound="InspectTask")


@dataclass(frozen=True)
class InspectTask(ReaderTask):
    """What a process is to open, and how much memory it may allocate beside others."""

    share_bytes: int  # 0: as much as alone


class Memory:
    """The limit of the address space of this process."""

    def __init__(self, share_bytes: int) -> None:
        self._alone, self._hard = resource.getrlimit(resource.RLIMIT_AS)
        self._beside = self._alone
        if share_bytes and _STATM.exists():
            used_bytes = int(_STATM.read_text().split()[0]) * resource.getpagesize()
            beside = used_bytes + share_bytes
            self._beside = beside if self._alone == resource.RLIM_INFINITY else min(beside, self._alone)

    def limit(self, alone: bool) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (self._alone if alone else self._beside, self._hard))


def serve_requests(
    task_type: type[TaskT], item_bytes: int, begin: Callable[[ListedFiles, TaskT], Callable[[bytes], None]]
) -> int:
    """Read a task and answer requests until the input ends; returns the exit code.

    Args:
        item_bytes: of what a request has any number of.
        begin: with the files of the task, returns what answers the items of one request.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the check process too, which then closes our input
    requests = sys.stdin.buffer
    if not (line := requests.readline()):
        return 0  # there was nothing to do
    task = task_type.from_line(line)
    try:
        files = ListedFiles(Listing.load(Path(task.folder), task.kind, Path(task.path)), task.limits)
        answer = begin(files, task)
        memory = Memory(task.share_bytes)
        gc.freeze()  # modules are never garbage: no collection looks at them again
        while len(head := requests.read(REQUEST.size)) == REQUEST.size:
            count, alone = REQUEST.unpack(head)
            items = requests.read(item_bytes * count)
            memory.limit(alone)
            answer(items)
    except MemoryError:
        return OUT_OF_MEMORY
    except BrokenPipeError:  # the check process is gone: there is no reader for the remaining output
        os._exit(0)
    return 0
