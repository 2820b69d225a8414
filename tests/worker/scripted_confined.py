"""A confined process that does what its task says."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autonl_core.host.messages import MessagePipe, answer_task


def work(line: bytes, pipe: MessagePipe) -> Mapping[str, Any]:
    """Do it."""
    behaviour = line.decode().strip()
    print("this is no message")  # what libraries print does not disturb
    pipe.send("progress", 0.5)
    if behaviour == "forever":
        time.sleep(600)
    elif behaviour == "nonsense":
        pipe.send = None  # type: ignore[method-assign, assignment]
        os.write(pipe._descriptor, b"[1, 2]\n")
        time.sleep(600)
    elif behaviour == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif behaviour == "no memory":
        raise MemoryError
    elif behaviour == "disk full":
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")
    return {"seen": behaviour, "environment": sorted(os.environ), "path": sys.argv[0]}


if __name__ == "__main__":
    answer_task(work)
