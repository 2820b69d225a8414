"""Runs a module and records what it reaches for: `python -m tests.reliability.audited_module LOG MODULE ARGUMENT...`.

Lines of LOG: what Python is about to do (connect, look up a host, start a program, open a file to write, ...), and at
the end the most memory that the process ever held.
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
    """The most memory that a process has held since its program started, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) // 1000


def main() -> None:
    """Watch, and be the named module."""
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(text: str) -> None:
        os.write(log, text.replace("\n", " ").encode(errors="replace") + b"\n")

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if arguments[2] & WRITING:
                note(f"write {'' if isinstance(arguments[0], int) else Path(os.fsdecode(arguments[0])).absolute()}")
        elif event in EVENTS:
            note(f"{event} {arguments[1] if event == 'socket.connect' else arguments[0]}")

    atexit.register(lambda: note(f"peak {peak_mb()}"))
    sys.addaudithook(watch)
    module, sys.argv = sys.argv[2], sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
