"""Every error that ends a command with a message instead of a traceback.

CommandError
├── ApiError        the service refused, or does not answer
├── SettingsError   the environment holds a setting that cannot be used
├── PackingError    a folder cannot be sent as a data set
├── StartError      the service of this machine cannot start
└── DemoError       the demo cannot go on
"""

from __future__ import annotations

from collections.abc import Iterable

import httpx


class CommandError(Exception):
    """A title, and lines that name the values and the way out."""

    def __init__(self, title: str, lines: Iterable[str] = ()) -> None:
        super().__init__("\n".join([title, *(f"  {line}" for line in lines)]))


class ApiError(CommandError):
    """The service refused, or does not answer."""

    def __init__(self, title: str, lines: Iterable[str] = (), status: int | None = None) -> None:
        super().__init__(title, lines)
        self.status = status  # None: there was no answer


class SettingsError(CommandError):
    """The environment holds a setting that cannot be used."""


class PackingError(CommandError):
    """A folder cannot be sent as a data set."""


class StartError(CommandError):
    """The service of this machine cannot start."""


class DemoError(CommandError):
    """The demo cannot go on."""


def refused(response: httpx.Response) -> ApiError:
    """The problem document as an error, one line for each field; whatever else answered, by its status."""
    try:
        problem = response.json()
        title = problem["title"]
    except (ValueError, KeyError, TypeError):
        return ApiError(
            f"{response.request.url} answered {response.status_code}", [response.text[:200]], response.status_code
        )
    fields = [f"{error['pointer'].strip('/') or 'body'}: {error['detail']}" for error in problem.get("errors", ())]
    return ApiError(title, fields or [problem.get("detail", "")], response.status_code)
