"""Which requests send a file as their body: by its media type, or by its first bytes if there is no type."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

ARCHIVE_TYPE = "application/zip"
WEIGHTS_TYPE = "application/octet-stream"
_ANY_FILE = (WEIGHTS_TYPE, ARCHIVE_TYPE, "application/x-zip-compressed", "application/x-zip")  # as Windows calls zips
# Media types of the only bodies that may be large, and are never held in memory, by the path that they are sent to.
UPLOAD_TYPES = {"/datasets": _ANY_FILE, "/weights": _ANY_FILE}
_ALSO_TAKES_JSON = "/datasets"
_JSON_STARTS = (b"{", b"[")
_MARK = "autonl.is_upload"


def is_upload(scope: Scope) -> bool:
    """Whether the request sends a file as its body, as `detect_upload` found."""
    found: bool = scope.get(_MARK, False)
    return found


async def detect_upload(scope: Scope, receive: Receive) -> Receive:
    """Find whether the request of `scope` sends a file; returns `receive` with all of the body."""
    headers = Headers(scope=scope)
    types = UPLOAD_TYPES.get(scope["path"], ()) if scope["method"] == "POST" else ()
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not types or content_type:
        scope[_MARK] = content_type in types
        return receive
    if scope["path"] != _ALSO_TAKES_JSON:
        scope[_MARK] = True
        return receive
    first, received = await _first_bytes(receive)
    scope[_MARK] = bool(first) and not first.lstrip().startswith(_JSON_STARTS)
    replayed = iter(received)

    async def receive_again() -> Message:
        message = next(replayed, None)
        return message if message is not None else await receive()

    return receive_again


async def _first_bytes(receive: Receive) -> tuple[bytes, list[Message]]:
    """The first bytes of a body, none if it is empty, and the messages that they came in."""
    received = [await receive()]
    while not received[-1].get("body") and received[-1].get("more_body"):
        received.append(await receive())
    return received[-1].get("body", b""), received
