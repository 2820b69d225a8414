"""A port that answers as a script says: for what a real service does only in the wrong moment."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ENDS_HEADERS = b"\r\n\r\n"


def answer(status: str, body: Any = None, **headers: str) -> bytes:
    """A response that ends its connection, with a JSON body."""
    content = json.dumps(body or {}).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _ENDS_HEADERS + content


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[str]]]:
    """A URL at which every answer follows one request of one connection, then it is closed; and what was requested.

    An empty answer closes the connection without a response.
    """
    requests: list[str] = []

    def serve() -> None:
        for one in answers:
            with listening.accept()[0] as connection:
                requests.append(_request_on(connection))
                connection.sendall(one)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests
        thread.join(20)
        assert not thread.is_alive(), f"{len(answers)} answers were prepared, {len(requests)} requested"


def _request_on(connection: socket.socket) -> str:
    """A request with its body; only its beginning if the body is large."""
    received = connection.recv(1 << 16)
    head, _, body = received.partition(_ENDS_HEADERS)
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]) < 1 << 16:
        body += connection.recv(1 << 16)
    return (head + _ENDS_HEADERS + body).decode()
