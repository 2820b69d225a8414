"""One kept connection that sends GET requests: next to nothing beside what the service does with them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class KeptConnection:
    """To a loopback port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._reader.close()
        self._socket.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request. Raises AssertionError for an error."""
        status, received = self._ask(path, headers or {})
        assert status < 400, (path, status, self._reader.read(int(received.get("content-length", 0))))
        body = self._reader.read(int(received["content-length"])) if status not in (204, 304) else b""
        return Answer(status, received, body)

    def listen(self, path: str) -> None:
        """Begin to read a stream, whose content is left unread."""
        status, _ = self._ask(path, {"Accept": "text/event-stream"})
        assert status == 200, status

    def _ask(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(self._reader.readline().split()[1])
        received = {}
        while (line := self._reader.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            received[name.lower()] = value.strip()
        return status, received
