"""Runs a module under an audit hook: `python -m tests.reliability.audited_module LOG MODULE ARGUMENT...`.

LOG gets one line per audited event (connections, host lookups, started programs, files opened for writing, ...), and a
last line with the peak memory of the process.
"""

from __future__ import annotations

import atexit
import os
import runpy
import sys
from pathlib import Path
from typing import Any

EVENTS = frozenset(
    {
        "os.exec",
        "os.link",
        "os.mkdir",
        "os.posix_spawn",
        "os.rename",
        "os.symlink",
        "os.system",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.sendto",
        "subprocess.Popen",
    }
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def peak_mb(pid: int | str = "self") -> int:
    """Peak resident memory of a process since it started, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) // 1000


def main() -> None:
    """Install the audit hook, then run the named module as `__main__`."""
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def record(text: str) -> None:
        os.write(log, text.replace("\n", " ").encode(errors="replace") + b"\n")

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if arguments[2] & WRITING:
                record(f"write {'' if isinstance(arguments[0], int) else Path(os.fsdecode(arguments[0])).absolute()}")
        elif event in EVENTS:
            record(f"{event} {arguments[1] if event == 'socket.connect' else arguments[0]}")

    atexit.register(lambda: record(f"peak {peak_mb()}"))
    sys.addaudithook(audit)
    module, sys.argv = sys.argv[2], sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
