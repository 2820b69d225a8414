"""The errors that end a command with a message instead of a traceback.

CommandError
├── ApiError        the service refused a request, or does not respond
├── SettingsError   a setting in the environment is invalid
├── PackingError    a path cannot be uploaded
├── StartError      the service cannot start on this machine
├── BackupRefused   a backup cannot be taken or restored
└── DemoError       the demo cannot continue
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_COMMANDS = (  # what a request of the API is on the command line
    (r"(no search '\w{0,3}'); GET /searches\b(?!/)", r"\1; ids may be shortened to 4 characters, `autonl list`"),
    (r"GET /searches\b(?!/)", r"`autonl list`"),
    (r"send a key as Authorization: Bearer KEY.*", "give your key: --key KEY, or AUTONL_KEY in the environment"),
    (r"GET /datasets/([^\s;,]+)", r"`autonl dataset show \1`"),
    (r"GET /weights\b(?!/)", r"`autonl weights list`"),
    (r"GET /webhooks/(\w+)/deliveries\b", r"`autonl webhooks deliveries \1`"),
    (r"GET /webhooks\b(?!/)", r"`autonl webhooks list`"),
    (r"GET /architectures/\S+\?search_id=(\w+)&format=([\w-]+)", r"`autonl download \1 -f \2`"),
)
_OPTIONS = {"flops_budget": "-b/--budget", "dataset": "-d/--dataset"}  # of fields that may be missing
_SAYS_ALL = ("checkpoint-not-ready", "report-not-ready")  # problems whose titles hope for a file that may never be


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


class BackupRefused(CommandError):
    """A backup cannot be taken or restored."""


class DemoError(CommandError):
    """The demo cannot continue."""


def refused(url: str, status: int, body: bytes) -> ApiError:
    """A problem document as an error, one line per field; any other response is described by its status and text."""
    try:
        problem = json.loads(body)
        title = problem["title"]
    except (ValueError, KeyError, TypeError):
        return ApiError(f"{url} returned status {status}", [body.decode(errors="replace")[:200]], status)
    lines = [_field(error) for error in problem.get("errors", ())] or [_in_commands(problem.get("detail", ""))]
    if str(problem.get("type")).rpartition("/")[2] in _SAYS_ALL:
        return ApiError(lines[0], lines[1:], status)
    return ApiError(title, lines, status)


def _field(error: Mapping[str, Any]) -> str:
    """What is wrong with one field, which is named once."""
    field, detail = error["pointer"].strip("/") or "body", _in_commands(error["detail"])
    if detail == "is required" and field in _OPTIONS:
        return f"{_OPTIONS[field]} {detail}"
    return f"{field}: {re.sub(r'^flops_budget (?=[0-9])', '', detail) if field != 'body' else detail}"


def _in_commands(detail: str) -> str:
    """The text of a problem with the commands that do what the requests in it do."""
    for request, command in _COMMANDS:
        detail = re.sub(request, command, detail)
    return detail
