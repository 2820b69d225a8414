"""The errors that end a command with a message instead of a traceback.

CommandError
├── ApiError        the service refused a request, or does not respond
├── SettingsError   a setting in the environment is invalid
├── PackingError    a path cannot be uploaded
├── StartError      the service cannot start on this machine
└── DemoError       the demo cannot continue
"""

from __future__ import annotations

import json
from collections.abc import Iterable


class CommandError(Exception):
    """A title, followed by lines that name the values and the way out."""

    def __init__(self, title: str, lines: Iterable[str] = ()) -> None:
        super().__init__("\n".join([title, *(f"  {line}" for line in lines)]))


class ApiError(CommandError):
    """The service refused a request, or does not respond."""

    def __init__(self, title: str, lines: Iterable[str] = (), status: int | None = None) -> None:
        super().__init__(title, lines)
        self.status = status  # None: no response


class SettingsError(CommandError):
    """A setting in the environment is invalid."""


class PackingError(CommandError):
    """A path cannot be uploaded."""


class StartError(CommandError):
    """The service cannot start on this machine."""


class DemoError(CommandError):
    """The demo cannot continue."""


def refused(url: str, status: int, body: bytes) -> ApiError:
    """A problem document as an error, one line per field; any other response is described by its status and text."""
    try:
        problem = json.loads(body)
        title = problem["title"]
    except (ValueError, KeyError, TypeError):
        return ApiError(f"{url} returned status {status}", [body.decode(errors="replace")[:200]], status)
    fields = [f"{error['pointer'].strip('/') or 'body'}: {error['detail']}" for error in problem.get("errors", ())]
    return ApiError(title, fields or [problem.get("detail", "")], status)
