"""The two clients, and the functions that are their methods."""

from __future__ import annotations

import inspect

from autonl import (
    AsyncClient,
    Client,
    device_operations,
    input_operations,
    model_operations,
    search_operations,
    webhook_operations,
)


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, str]:
        return {
            name: str(inspect.signature(value))
            for name, value in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name not in ("run", "iterate", "close")
        }

    assert methods(Client) == methods(AsyncClient)
    defined = {
        name
        for module in (device_operations, input_operations, model_operations, search_operations, webhook_operations)
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if name[0] != "_" and value.__module__ == module.__name__
    }
    assert set(methods(Client)) == defined
