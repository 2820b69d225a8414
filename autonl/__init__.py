"""Client of a service of AutoNL: `Client`, and `AsyncClient` with coroutines. Documented in docs/client.md."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autonl.async_client import AsyncClient
    from autonl.client import Client
    from autonl.errors import (
        AutonlError,
        ConnectionFailed,
        DownloadFailed,
        PackingFailed,
        Refused,
        UnexpectedResponse,
        WaitTimeout,
    )

# Imported on first use: what knows no HTTP, as the help of commands, need not load a client.
_MODULES = {"Client": "autonl.client", "AsyncClient": "autonl.async_client"}

__all__ = [
    "Client",
    "AsyncClient",
    "AutonlError",
    "ConnectionFailed",
    "DownloadFailed",
    "PackingFailed",
    "Refused",
    "UnexpectedResponse",
    "WaitTimeout",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULES.get(name, "autonl.errors")), name)
    globals()[name] = value
    return value
