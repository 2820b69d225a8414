"""A module that tries everything that a confined process must not do, and prints what it managed, as JSON."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PARENT = Path("/proc") / str(os.getppid())
CASES = json.loads(sys.stdin.readline())


def _connect() -> object:
    return socket.create_connection(("127.0.0.1", CASES["port"]), timeout=5)


def _connect_by_another_program() -> object:
    script = f"import socket; socket.create_connection(('127.0.0.1', {CASES['port']}), timeout=5)"
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def _trace_parent() -> object:
    if ctypes.CDLL(None).ptrace(0x4206, os.getppid(), 0, 0) != 0:  # PTRACE_SEIZE, which does not stop it
        raise PermissionError
    return True


ATTEMPTS: dict[str, Callable[[], object]] = {
    "connect": _connect,
    "connect by another program": _connect_by_another_program,
    "open a socket of UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "open a socket of files": lambda: socket.socket(socket.AF_UNIX),
    "find a service in the environment": lambda: os.environ["DATABASE_URL"],
    "find a secret in the environment": lambda: os.environ["SOME_TOKEN"],
    "read the environment of the parent": (PARENT / "environ").read_bytes,
    "read the memory of the parent": lambda: (PARENT / "mem").open("rb"),
    "trace the parent": _trace_parent,
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "read a hidden file": lambda: Path(CASES["hidden"]).read_text(),
    "list the hidden folder": lambda: list(Path(CASES["hidden"]).parent.iterdir()),
    "write elsewhere": lambda: Path(CASES["elsewhere"]).write_text("x"),
    "empty a file elsewhere": lambda: os.truncate(CASES["elsewhere"], 0),
    "delete a file elsewhere": Path(CASES["elsewhere"]).unlink,
    "link to a hidden file": lambda: (Path(CASES["writable"]) / "link").symlink_to(CASES["hidden"]),
    "read the shown file": lambda: Path(CASES["shown"]).read_text(),
    "write where it may": lambda: (Path(CASES["writable"]) / "result").write_text("x"),
    "find its libraries": lambda: os.environ["PATH"],
}

managed = []
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
    except (OSError, KeyError, subprocess.CalledProcessError):
        continue
    managed.append(name)
print(json.dumps(managed))
