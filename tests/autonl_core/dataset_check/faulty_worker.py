"""An `inspect_worker` with decoders that fail as no image that we have makes them: what to do is in the file."""

from __future__ import annotations

import os
import signal
import sys
import time

from autonl_core.dataset_check import inspect_worker
from autonl_core.datasets.limits import Limits

open_file = inspect_worker.open_file


def open_or_fail(data: bytes, limits: Limits) -> inspect_worker.Opened:
    if data == b"MEMORY":
        raise MemoryError
    if data == b"FOREVER":
        time.sleep(600)
    if data.startswith(b"SIG"):
        os.kill(os.getpid(), signal.Signals[data.decode()])
    return open_file(data, limits)


if __name__ == "__main__":
    inspect_worker.open_file = open_or_fail
    sys.exit(inspect_worker.main())
