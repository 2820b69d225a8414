"""The outermost layer of every response: request id, security headers, its record, body limit, unexpected errors."""

from __future__ import annotations

import logging
import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.body_limits import LimitedBody
from api.error_handlers import problem_response
from api.locations import location_for_client
from api.origins import require_own
from api.problems import ProblemError
from api.request_record import RequestRecord
from api.upload_detection import detect_upload, is_upload
from autonl_core.spec.device_table import MAX_BLOCKS
from store.settings import Settings
from telemetry.metrics import RequestMetrics

log = logging.getLogger("autonl.api")
_MAX_BODY_VALUES = 1000  # no request has a tenth of it
_LARGE_JSON = {"/devices": (1 << 20, 2 * MAX_BLOCKS)}  # bytes and values: a table has a time for every block of a space
VERSION = "/v1"  # the prefix under which the paths of the API are kept stable: docs/stability.md
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The page needs only its own files, and pictures that come in documents: no other host, no inline script or style, and
# no frame around it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_DEFAULT_HEADERS = [
    (name.lower().encode(), value.encode()) for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store"}.items()
]


class RequestMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, settings: Settings) -> None:
        self.app = app
        self.metrics = metrics
        self.root_path = settings.root_path
        self.max_body_bytes = settings.max_body_bytes
        self.allowed_hosts = settings.allowed_hosts
        self.cors_origins = settings.cors_origins
        self.max_upload_bytes = {"/datasets": settings.max_upload_bytes, "/weights": settings.max_weights_bytes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        _remove_prefix(scope, self.root_path)
        _remove_version(scope)
        request_id = scope["autonl.request_id"] = _request_id(scope)
        record = RequestRecord(scope, request_id)
        scope["autonl.headers"] = {}  # what routes add to every response, problems too

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), scope, request_id)
            record.note(message)
            await send(message)

        with record.kept(self.metrics):
            await self._respond(scope, receive, send_with_headers, record)
        return None

    async def _respond(self, scope: Scope, receive: Receive, send: Send, record: RequestRecord) -> None:
        try:
            require_own(scope, self.allowed_hosts, self.cors_origins)
            receive = await detect_upload(scope, receive)
            if is_upload(scope):
                receive = LimitedBody(receive, self.max_upload_bytes[scope["path"]])
            else:
                limits = _LARGE_JSON.get(scope["path"], (self.max_body_bytes, _MAX_BODY_VALUES))
                receive = LimitedBody(receive, *limits)
            await self.app(scope, receive, send)
        except ProblemError as refusal:  # of this layer; those of routes are handled there
            await problem_response(Request(scope), refusal)(scope, receive, send)
        except Exception:
            log.exception("request %s: %s %s failed", record.request_id, scope["method"], record.route)
            if record.status:  # too late for another response: the server cuts the connection, the client notices
                raise
            error = ProblemError(problems.INTERNAL, problems.INTERNAL.example)
            await problem_response(Request(scope), error)(scope, receive, send)


def _request_id(scope: Scope) -> str:
    """The client's own id if it is harmless, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _remove_prefix(scope: Scope, prefix: str) -> None:
    if prefix and scope["path"].startswith(f"{prefix}/"):
        scope["path"] = scope["path"].removeprefix(prefix)
        scope["autonl.prefix_removed"] = True


def _remove_version(scope: Scope) -> None:
    """`/v1/searches` is `/searches`: the same routes serve both, and a `Location` stays below what was asked for."""
    if scope["path"].startswith(f"{VERSION}/"):
        scope["path"] = scope["path"].removeprefix(VERSION)
        scope["autonl.version"] = VERSION


def _add_headers(headers: MutableHeaders, scope: Scope, request_id: str) -> None:
    if "Location" in headers:
        headers["Location"] = location_for_client(scope, headers["Location"])
        if headers["Location"].startswith("/"):
            headers["Location"] = scope.get("autonl.version", "") + headers["Location"]
    present = {name for name, _ in headers.raw}
    headers.raw.append((b"x-request-id", request_id.encode()))
    headers.raw.extend(header for header in _DEFAULT_HEADERS if header[0] not in present)
    headers.raw.extend((name.lower().encode(), value.encode()) for name, value in scope["autonl.headers"].items())
