"""Asking the name servers for the addresses of a host, with a time limit, which the system call has not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

RESOLVE_S = 5.0
_MAX_WAITING = 64  # threads whose question is not answered


class SystemResolver:
    """Resolves names as the system does: hosts file, name servers, notations of numbers."""

    def __init__(self, resolve_s: float = RESOLVE_S) -> None:
        self._resolve_s = resolve_s
        self._free = threading.BoundedSemaphore(_MAX_WAITING)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`, in the order in which to try them. Raises OSError, also when there is no answer."""
        if not self._free.acquire(timeout=self._resolve_s):
            raise TimeoutError
        question = _Question(host, port, self._free)
        question.thread.start()
        question.thread.join(self._resolve_s)
        if question.addresses is None:
            raise question.failure or TimeoutError
        return question.addresses


class _Question:
    """One question, asked by a thread that a silent name server may hold for long."""

    def __init__(self, host: str, port: int, free: threading.BoundedSemaphore) -> None:
        self.addresses: list[str] | None = None
        self.failure: OSError | None = None
        self._host, self._port, self._free = host, port, free
        self.thread = threading.Thread(target=self._ask, name="resolver", daemon=True)

    def _ask(self) -> None:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self.addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except OSError as error:
            self.failure = error
        except UnicodeError:  # a label that no name server knows
            self.failure = OSError(f"no valid name: {self._host}")
        finally:
            self._free.release()
