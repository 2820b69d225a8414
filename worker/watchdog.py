"""A deadline that fires from a thread of its own unless it is renewed in time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from worker.own_time import READ_S, OwnTime


class Watchdog:
    """Calls `expire` once the deadline, in seconds of `clock`, passes without having been renewed.

    It needs its own thread: the loop that renews it may be blocked in a call to the database that does not answer. The
    thread reads the clock as often as that needs, so a process that slept still has the time that it had left before.
    """

    def __init__(self, deadline: float, expire: Callable[[], None], clock: OwnTime) -> None:
        self.expired = False
        self._clock = clock
        self._deadline = deadline
        self._expire = expire
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lease-watchdog", daemon=True)
        self._thread.start()

    @property
    def left_s(self) -> float:
        """Time until the deadline; negative after it."""
        return self._deadline - self._clock.read()

    def renew(self, deadline: float) -> None:
        """Move the deadline."""
        self._deadline = deadline

    def stop(self) -> None:
        """Stop watching. Once this returns, `expire` is not running and will not be called."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(max(0.0, min(self.left_s, READ_S))):
            if self.left_s <= 0:
                self.expired = True
                self._expire()
                return
