"""JSON compressed with gzip, for clients that accept it.

Only what an application sends in one piece: event streams, files and parts of files pass as they are. A compressed
response is another representation, with an entity tag of its own: that of the original, and `+gzip`. Conditional
requests may name either.
"""

from __future__ import annotations

import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1500  # what fits into one packet arrives no sooner
_LEVEL = 4
_GZIP_WINDOW = 31
_TYPES = ("application/json", "application/problem+json")
_SUFFIX = b'+gzip"'
_CONDITIONS = (b"if-none-match", b"if-match")


class CompressionMiddleware:
    """ASGI middleware around the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        knows_compressed = _name_originals(scope)
        sending = send if not (_accepts_gzip(scope) or knows_compressed) else _Response(send, scope, knows_compressed)
        await self.app(scope, receive, sending)
        return None


class _Response:
    """One response, on its way to a client that accepts gzip, or has a compressed version."""

    def __init__(self, send: Send, scope: Scope, knows_compressed: bool) -> None:
        self._send = send
        self._accepts = _accepts_gzip(scope)
        self._knows_compressed = knows_compressed
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            if message["status"] == 304 and self._knows_compressed:
                _name_compressed(headers)
            if self._accepts and message["status"] != 304 and _is_compressible(headers):
                self._start = message  # sent with the body, whose length it says
                return
        elif self._start is not None:
            start, self._start = self._start, None
            content = message.get("body", b"")
            headers = MutableHeaders(raw=start["headers"])
            headers.add_vary_header("Accept-Encoding")
            if not message.get("more_body") and len(content) >= MIN_BYTES:
                message = {**message, "body": _gzip(content)}
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(message["body"]))
                _name_compressed(headers)
            await self._send(start)
        await self._send(message)


def _gzip(content: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return compressor.compress(content) + compressor.flush()


def _accepts_gzip(scope: Scope) -> bool:
    for part in Headers(scope=scope).get("accept-encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _is_compressible(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in _TYPES and "content-encoding" not in headers


def _name_originals(scope: Scope) -> bool:
    """Replace the tags of compressed versions in conditions by those of the originals; whether there were any."""
    found = False
    for place, (name, value) in enumerate(scope["headers"]):
        if name in _CONDITIONS and _SUFFIX in value:
            scope["headers"] = [*scope["headers"]]
            scope["headers"][place] = (name, value.replace(_SUFFIX, b'"'))
            found = True
    return found


def _name_compressed(headers: MutableHeaders) -> None:
    tag = headers.get("etag")
    if tag is not None and tag.endswith('"'):
        headers["ETag"] = f'{tag[:-1]}+gzip"'
