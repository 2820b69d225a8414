"""The standard input of a search's process: requests to stop arrive on it, and its end means that we are orphaned."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import cast, get_args

from autonl_core.spec.progress import StopRequest

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class Lifeline:
    """A `StopToken` fed by the supervisor, line by line, from a thread of its own.

    When the supervisor is gone, the kernel ends the other side of the pipe, whatever happened to it, and this process
    ends with everything it started: nobody keeps its lease any more.
    """

    def __init__(self) -> None:
        self._request: StopRequest | None = None

    def hold(self) -> None:
        """Start to listen."""
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        threading.Thread(target=self._listen, name="lifeline", daemon=True).start()

    def stop_requested(self) -> StopRequest | None:
        return self._request

    def _listen(self) -> None:
        for line in sys.stdin:
            request = line.strip()
            if request in get_args(StopRequest):
                self._request = cast(StopRequest, request)
        print("the supervisor is gone; leaving", file=sys.stderr, flush=True)
        os.killpg(0, signal.SIGKILL)
