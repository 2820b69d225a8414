"""The standard input of a search or check process: stop requests arrive on it, and end of file means an orphan."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from typing import cast, get_args

from autonl_core.host.environment import launched_rank
from autonl_core.host.parent import end_with_parent
from autonl_core.spec.progress import StopRequest


class Lifeline:
    """A `StopToken` that reads stop requests, one per line, in its own thread.

    When the parent dies, however that happens, the kernel closes its end of the pipe. This process then kills itself
    and everything it started, because its lease is no longer being kept.

    Ranks share one pipe. Only rank 0 reads requests from it, on which it agrees with the others; all see its end.
    """

    def __init__(self) -> None:
        self._request: StopRequest | None = None
        launched = launched_rank()
        self._reads = launched is None or launched.rank == 0

    def hold(self) -> None:
        """Start listening."""
        end_with_parent()
        threading.Thread(target=self._listen, name="lifeline", daemon=True).start()

    def stop_requested(self) -> StopRequest | None:
        return self._request

    def _listen(self) -> None:
        if not self._reads:
            _wait_for_end(sys.stdin.fileno())
        for line in sys.stdin if self._reads else ():
            request = line.strip()
            if request in get_args(StopRequest):
                self._request = cast(StopRequest, request)
        print("the parent process is gone; exiting", file=sys.stderr, flush=True)
        os.killpg(0, signal.SIGKILL)


def _wait_for_end(pipe: int) -> None:
    """Return once the other end of `pipe` is closed; what is in it is left for who reads."""
    ended = select.poll()
    ended.register(pipe, 0)  # no event is asked for: a closed pipe is reported all the same
    ended.poll()
