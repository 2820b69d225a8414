"""The standard input of a search or check process: stop requests arrive on it, and end of file means an orphan."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import cast, get_args

from autonl_core.host.parent import end_with_parent
from autonl_core.spec.progress import StopRequest


class Lifeline:
    """A `StopToken` that reads stop requests, one per line, in its own thread.

    When the parent dies, however that happens, the kernel closes its end of the pipe. This process then kills itself
    and everything it started, because its lease is no longer being kept.
    """

    def __init__(self) -> None:
        self._request: StopRequest | None = None

    def hold(self) -> None:
        """Start listening."""
        end_with_parent()
        threading.Thread(target=self._listen, name="lifeline", daemon=True).start()

    def stop_requested(self) -> StopRequest | None:
        return self._request

    def _listen(self) -> None:
        for line in sys.stdin:
            request = line.strip()
            if request in get_args(StopRequest):
                self._request = cast(StopRequest, request)
        print("the parent process is gone; exiting", file=sys.stderr, flush=True)
        os.killpg(0, signal.SIGKILL)
