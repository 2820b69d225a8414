"""The errors of the client.

AutonlError
├── ConnectionFailed    there was no response, or it was interrupted
├── Refused             the service refused a request, and says why in a problem document
├── UnexpectedResponse  a response is not what a service of this API sends
├── DownloadFailed      received bytes cannot become the file
├── PackingFailed       a path cannot be uploaded
└── WaitTimeout         a search or a check took longer than the caller waits
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class AutonlError(Exception):
    """A title, followed by lines that name the values and the way out."""

    def __init__(self, title: str, lines: Iterable[str] = ()) -> None:
        self.title = title
        self.lines = tuple(lines)
        super().__init__("\n".join([title, *(f"  {line}" for line in self.lines)]))


class ConnectionFailed(AutonlError):
    """There was no response, or it was interrupted.

    Args:
        url: of the service.
        reason: the error of the connection.
        broken: an open connection ended, so that the request may have met the end of one that was used before.
    """

    def __init__(self, url: str, reason: str, *, broken: bool = False) -> None:
        super().__init__(f"No response from {url}", [reason])
        self.reason = reason
        self.broken = broken


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a request."""

    source: str  # body, query, path or header
    pointer: str  # JSON pointer into the body, or the name of the parameter
    code: str  # stable, for programs
    detail: str


class Refused(AutonlError):
    """The service refused a request.

    `type` is the name of the problem, such as `budget-infeasible`; GET `/problems/{type}` explains it. `problem` is the
    whole document, with members such as `feasible_range`; empty if the response was none, for example of a proxy.
    """

    def __init__(self, url: str, status: int, body: bytes, retry_after_s: float | None = None) -> None:
        self.url = url
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s
        self.problem = _problem(body)
        self.type = str(self.problem.get("type", "")).rpartition("/")[2]
        self.detail = str(self.problem.get("detail", ""))
        self.errors = tuple(_field(error) for error in self.problem.get("errors") or ())
        listed = [f"{error.pointer.strip('/') or error.source}: {error.detail}" for error in self.errors]
        if self.problem:
            super().__init__(f"{self.problem['title']} ({status})", listed or [self.detail])
        else:
            super().__init__(f"{url} returned status {status}", [body.decode(errors="replace")[:200]])


class UnexpectedResponse(AutonlError):
    """A response is not what a service of this API sends: something else answers at this URL, or changes responses."""


class DownloadFailed(AutonlError):
    """Received bytes cannot become the file: they differ from what was announced, or another process writes it.

    Args:
        in_use: it is another process.
    """

    def __init__(self, title: str, lines: Iterable[str] = (), *, in_use: bool = False) -> None:
        super().__init__(title, lines)
        self.in_use = in_use


class PackingFailed(AutonlError):
    """A path cannot be uploaded."""


class WaitTimeout(AutonlError):
    """A search or a check took longer than the caller waits. It goes on."""


def _problem(body: bytes) -> Mapping[str, Any]:
    """The problem document in a body; empty if there is none."""
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) and "title" in problem else {}


def _field(error: Mapping[str, Any]) -> FieldProblem:
    values = {name: str(error.get(name, "")) for name in ("source", "pointer", "code", "detail")}
    return FieldProblem(**values)
