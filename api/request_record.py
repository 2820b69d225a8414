"""What is kept of each request: metrics, a span, a line of the access log, and, of a write, a line of the audit log.

The audit log is a logger of its own, not a table: it must outlive the rows that it is about, also when someone who may
change the database does harm, and a collector can keep it where this service cannot write. Neither log has a query, a
body or a key in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import Message, Scope

from api.caller import caller_ids
from api.error_handlers import METHODS
from telemetry.ids import live_ids
from telemetry.log_lines import ACCESS, AUDIT
from telemetry.metrics import RequestMetrics
from telemetry.traces import span

Field = str | int | float

access_log, audit_log = logging.getLogger(ACCESS), logging.getLogger(AUDIT)
_WHO = "request_id=%(request_id)s tenant_id=%(tenant_id)s key_id=%(key_id)s"
_UNKNOWN: dict[str, Field] = {"tenant_id": "-", "key_id": "-"}
_READS = ("GET", "HEAD", "OPTIONS")
_MAX_TARGET = 128  # characters


class RequestRecord:
    """One request. `kept` is around all that responds to it; `note` sees what is sent."""

    def __init__(self, scope: Scope, request_id: str) -> None:
        self._scope = scope
        self.request_id = request_id
        self.status = 0  # until the response begins
        self._sent_bytes = 0
        self._location = ""
        self._started = time.monotonic()

    @property
    def route(self) -> str:
        """The template of the route; `other` if none matched."""
        return getattr(self._scope.get("route"), "path", "other")

    @property
    def method(self) -> str:
        return self._scope["method"] if self._scope["method"] in METHODS else "other"  # anyone can invent one

    @contextmanager
    def kept(self, metrics: RequestMetrics) -> Iterator[None]:
        traceparent = Headers(scope=self._scope).get("traceparent")
        with live_ids(self._ids), span(self.method, parent=traceparent, kind="server") as own_span:
            try:
                yield
            finally:
                seconds = time.monotonic() - self._started
                metrics.count(self.method, self.route, self.status, seconds)
                own_span.rename(f"{self.method} {self.route}")
                own_span.set({"http.route": self.route, "http.response.status_code": self.status})
                self._log_access(seconds)
                if self.method not in _READS:
                    self._log_audit()

    def note(self, message: Message) -> None:
        """Take down what is said of the response in a message to the server."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._location = Headers(raw=message["headers"]).get("location", "")
        elif message["type"] == "http.response.body":
            self._sent_bytes += len(message.get("body", b""))

    def _ids(self) -> dict[str, str]:
        """What is known by now: the caller only after authentication, the search only after routing."""
        search_id = self._scope.get("path_params", {}).get("search_id")
        found = {"request_id": self.request_id, **caller_ids(self._scope)}
        return found if search_id is None else found | {"search_id": quote(str(search_id)[:_MAX_TARGET])}

    def _log_access(self, seconds: float) -> None:
        fields: dict[str, Field] = {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "duration_ms": round(seconds * 1000, 1),
            "bytes": self._sent_bytes,
        }
        self._log(access_log, "%(method)s %(route)s %(status)s %(duration_ms)s ms %(bytes)s bytes", fields)

    def _log_audit(self) -> None:
        fields: dict[str, Field] = {
            "action": getattr(self._scope.get("endpoint"), "__name__", f"{self.method} {self.route}"),
            "target": self._target(),
            "status": self.status,
            "outcome": "done" if 200 <= self.status < 300 else "refused" if self.status < 500 else "failed",
        }
        self._log(audit_log, "%(action)s %(target)s %(outcome)s %(status)s", fields)

    def _log(self, log: logging.Logger, shown: str, fields: dict[str, Field]) -> None:
        if log.isEnabledFor(logging.INFO):
            log.info(f"{shown} {_WHO}", _UNKNOWN | self._ids() | fields, extra=fields)  # noqa: G004  (two constants)

    def _target(self) -> str:
        """The ids that the path names; else that of what was created; `-` if there is none."""
        given = "/".join(quote(str(value)) for value in self._scope.get("path_params", {}).values())
        return (given or self._location.rpartition("/")[2])[:_MAX_TARGET] or "-"
