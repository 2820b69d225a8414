"""The settings of a service on this host, for commands that do not go through its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.errors import SettingsError

if TYPE_CHECKING:
    from store.settings import Settings


def read_settings(**chosen: Any) -> Settings:
    """Settings from the environment, overridden by `chosen`. Raises SettingsError, listing every invalid setting."""
    from pydantic import ValidationError

    from store.settings import Settings

    try:
        return Settings(**chosen)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            name = ".".join(map(str, problem["loc"]))
            lines.append(f"AUTONL_{name.upper()}: {problem['msg']}" if name else problem["msg"])
        raise SettingsError("Invalid settings", lines) from error
