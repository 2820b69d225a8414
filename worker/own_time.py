"""Time in which this process could act: while it, or its machine, sleeps, others are not late because of that."""

from __future__ import annotations

import threading
import time

READ_S = 1.0  # `OwnTime` is read at least that often, while its process runs
_LATE_S = 0.5  # by which a busy machine may delay a reading without anything being wrong


class OwnTime:
    """A monotonic clock that stands still while its process is stopped, swapped out or without a CPU.

    It has to be read every `READ_S`: of a longer gap between two readings, no more than that counts. Starts at the time
    of the monotonic clock, which stands still too while the whole machine sleeps.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = self._read_at = time.monotonic()

    def read(self) -> float:
        """Seconds."""
        with self._lock:
            moment = time.monotonic()
            self._value += min(moment - self._read_at, READ_S + _LATE_S)
            self._read_at = moment
            return self._value


class SleepDetector:
    """Notices that this process, or its machine, slept between two calls, or that the clock of the host jumped ahead.

    Args:
        longest_s: time between two calls that is no sleep.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._called_at = _clocks()

    def slept(self) -> bool:
        """Whether more than `longest_s` have passed since the last call."""
        moment = _clocks()
        passed_s = max(now - before for now, before in zip(moment, self._called_at, strict=True))
        self._called_at = moment
        return passed_s > self._longest_s


def _clocks() -> tuple[float, ...]:
    """The time of the host, and, where the kernel keeps it, the time since boot: it goes on while a machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.time(), *([] if boot is None else [time.clock_gettime(boot)]))
