"""Which addresses this process connects to and which names it resolves, as the interpreter itself reports them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Connections:
    """Addresses of `connect`, names of `getaddrinfo`."""

    addresses: list[tuple[Any, ...]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


_watching: list[Connections] = []
_installed: list[bool] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        _watching[-1].addresses.append(arguments[1])
    elif event == "socket.getaddrinfo":
        _watching[-1].names.append(arguments[0])


@contextmanager
def watching_connections() -> Iterator[Connections]:
    """What any thread of this process does meanwhile."""
    if not _installed:
        sys.addaudithook(_note)  # there is no way to remove one
        _installed.append(True)
    seen = Connections()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)
