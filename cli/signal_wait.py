"""Sleeping until a signal arrives, which `time.sleep` does not: it goes on after the handler of the signal."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from collections.abc import Iterator


class SignalWait:
    """Waits for the next signal that has a handler; one that arrived since the last wait ends a wait at once."""

    def __init__(self, arrivals: socket.socket) -> None:
        self._arrivals = arrivals

    def wait(self, timeout_s: float) -> None:
        if select.select([self._arrivals], [], [], timeout_s)[0]:
            self._arrivals.recv(1 << 12)  # one byte per signal; what does not fit wakes the next wait


@contextlib.contextmanager
def signal_wait() -> Iterator[SignalWait]:
    """In the main thread. So does the end of a process that this one started."""
    arrivals, noted = socket.socketpair()
    with arrivals, noted:
        noted.setblocking(False)
        before = signal.set_wakeup_fd(noted.fileno(), warn_on_full_buffer=False)
        default = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield SignalWait(arrivals)
        finally:
            signal.signal(signal.SIGCHLD, default)
            signal.set_wakeup_fd(before)
