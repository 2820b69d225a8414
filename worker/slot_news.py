"""What the slots of a worker report to its main process, which serves the metrics of all of them.

Each slot is a process of its own. News are short lines in one pipe, whole ones at all times, since the kernel writes a
line of this length at once. A slot never waits for a reader.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections import Counter
from typing import Protocol

from telemetry.metrics import WorkerMetrics

log = logging.getLogger(__name__)


class AttemptObserver(Protocol):
    """Is informed of the attempts of a slot."""

    def began(self) -> None: ...

    def ended(self, exit_class: str, seconds: float) -> None: ...


class NoObserver:
    """For supervisors without metrics."""

    def began(self) -> None:
        pass

    def ended(self, exit_class: str, seconds: float) -> None:
        pass


NO_OBSERVER = NoObserver()


class SlotNews:
    """The pipe. Create it before slots are forked; they write, the main process reads."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def began(self) -> None:
        self._send({"pid": os.getpid()})

    def ended(self, exit_class: str, seconds: float) -> None:
        self._send({"pid": os.getpid(), "exit_class": exit_class, "seconds": seconds})

    def count_into(self, metrics: WorkerMetrics) -> None:
        """Count what slots report from now on, in a thread that ends with this process."""
        busy = Counter[int]()  # attempts by slot: one may export while the next computes
        metrics.slots_used.set_function(lambda: sum(_is_alive(pid) for pid in tuple(busy)))
        threading.Thread(target=self._read, args=(metrics, busy), name="slot-news", daemon=True).start()

    def _send(self, news: dict[str, str | int | float]) -> None:
        with contextlib.suppress(BlockingIOError):  # nothing reads: metrics are not served
            os.write(self._writer, f"{json.dumps(news)}\n".encode())

    def _read(self, metrics: WorkerMetrics, busy: Counter[int]) -> None:
        with os.fdopen(self._reader, "r") as lines:
            for line in lines:
                news = json.loads(line)
                if "exit_class" in news:
                    busy[news["pid"]] -= 1
                    if busy[news["pid"]] <= 0:
                        del busy[news["pid"]]
                    metrics.attempt_ended(news["exit_class"], news["seconds"])
                else:
                    busy[news["pid"]] += 1


def _is_alive(pid: int) -> bool:
    """A slot that was killed during its search reported no end."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
