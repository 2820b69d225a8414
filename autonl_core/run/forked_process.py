"""A process that a prepared process forks once it has loaded what both of them need, which takes seconds."""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

REPORT_S = 1.0
_CHUNK_BYTES = 1 << 16


class ForkedProcess:
    """At most one process, which serves one request. `end` it, after the process that forks it.

    It reads JSON lists of strings from standard input, each in a line: what to prepare for, and its request. The last
    line that it prints is its answer. Where the kernel can, it is killed with the process that forked it.
    """

    def __init__(self) -> None:
        self._requests: int | None = None  # ends of pipes
        self._answers: int | None = None

    @property
    def started(self) -> bool:
        return self._answers is not None

    @contextmanager
    def child_ends(self) -> Iterator[tuple[int, int]]:
        """Its standard input and its standard output, to be handed to the process that forks it in the `with` block."""
        given, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        try:
            yield given, answers
        finally:
            os.close(given)
            os.close(answers)

    def tell(self, strings: Sequence[str]) -> None:
        """Send a line."""
        assert self._requests is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: there will be no answer
            os.write(self._requests, f"{json.dumps(list(strings))}\n".encode())

    def serve(
        self, request: Sequence[str], *, meanwhile: Callable[[], None], still_wanted: Callable[[], None]
    ) -> list[str]:
        """Have the process do what `request` says; returns the lines that it printed, once it has ended.

        Args:
            meanwhile: called once it has begun.
            still_wanted: called now and then after that; what it raises ends the wait.
        """
        assert self._answers is not None
        self.tell(request)
        meanwhile()
        printed = b""
        try:
            while True:
                if not select.select([self._answers], [], [], REPORT_S)[0]:
                    still_wanted()
                elif chunk := os.read(self._answers, _CHUNK_BYTES):
                    printed += chunk
                else:
                    return printed.decode(errors="replace").splitlines()
        finally:
            self.end()

    def end(self) -> None:
        """Close its pipes. If it waits for a line, it ends then, otherwise once it has printed its answer."""
        for pipe in (self._requests, self._answers):
            if pipe is not None:
                os.close(pipe)
        self._requests = self._answers = None
