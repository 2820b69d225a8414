"""A process that opens images: it reads requests from its standard input and answers on its standard output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence

from autonl_core.host.confined import confined_command
from autonl_core.host.environment import confined_environment


class ReaderGone(Exception):
    """The process closed its pipe; `ending` says how it ended."""


class ReaderSilent(RuntimeError):
    """The process sent nothing for as long as it may take."""


class ReaderProcess:
    """A fresh interpreter that runs a module, confined: without sockets, files to write, and addresses of services.

    It ends when its input is closed, which the kernel does however this process ends.
    """

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            confined_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=confined_environment(),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> int:
        """The descriptor that answers arrive on, for polling."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def send(self, data: bytes) -> None:
        """Raises ReaderGone."""
        assert self._process.stdin is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._process.stdin.fileno(), rest) :]
        except BrokenPipeError:
            raise ReaderGone from None

    def receive(self, into: memoryview, patience_s: float) -> None:
        """Fill `into`.

        Raises:
            ReaderGone: the process closed its pipe.
            ReaderSilent: nothing came for `patience_s`.
        """
        while into:
            if not readable([self], patience_s):
                raise ReaderSilent(
                    f"reader process {self.pid} sent nothing for {patience_s:g} s; it may be stopped, or the "
                    "storage of the dataset may not respond"
                )
            count = os.readv(self.output, [into])
            if count == 0:
                raise ReaderGone
            into = into[count:]

    def code(self) -> int | None:
        """The exit code of a process that is gone (negative: the signal that ended it)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=5)
        return None

    def ending(self) -> str:
        """How a process that is gone ended: "was killed by SIGKILL"."""
        code = self.code()
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with {code}"

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Close its pipes."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
            return True
        return False


def readable(processes: Sequence[ReaderProcess], timeout_s: float) -> list[ReaderProcess]:
    """Those that sent something, or ended; none after `timeout_s`."""
    poll = select.poll()
    for process in processes:
        poll.register(process.output, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(1000 * timeout_s)}
    return [process for process in processes if process.output in ready]


def end(processes: Iterable[ReaderProcess]) -> None:
    """Stop processes by closing their input, and kill those that do not end within 2 s."""
    processes = list(processes)
    for process in processes:
        process.close()
    deadline = time.monotonic() + 2
    for process in processes:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            process.kill()
            process.wait(5)
