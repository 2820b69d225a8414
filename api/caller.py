"""Who sent a request, as far as authentication has found out: the only place that reads it from `request.state`."""

from __future__ import annotations

from starlette.types import Scope

_NAMES = ("tenant_id", "key_id")


def caller_ids(scope: Scope) -> dict[str, str]:
    """`tenant_id` and `key_id`, each if it is known by now."""
    state = scope.get("state") or {}
    return {name: str(state[name]) for name in _NAMES if state.get(name) is not None}
