"""Stored files as responses: whole or one range, with digest and entity tag, closed however the request ends."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import problems
from api.dependencies import matches
from api.problems import ProblemError
from store.artifacts import ArtifactStore
from store.models import Artifact

_CHUNK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MAX_DIGITS = 18  # no file is that long, and parsing a number of thousands of digits is slow


@dataclass(frozen=True)
class ByteRange:
    """The bytes [start, stop) of a file of `size_bytes`."""

    start: int
    stop: int
    size_bytes: int

    @classmethod
    def parse(cls, header: str | None, size_bytes: int) -> ByteRange | None:
        """The range that a `Range` header asks for.

        None, which means the whole file, for anything but exactly one valid range, as RFC 9110 allows.

        Raises:
            ProblemError: `range-not-satisfiable`, because the file has none of these bytes.
        """
        match = _RANGE.fullmatch(header.strip()) if header else None
        if match is None:
            return None
        first, last = (_parse_position(digits) for digits in match.groups())
        if first is not None:
            if last is not None and last < first:
                return None
            start, stop = first, size_bytes if last is None else min(last + 1, size_bytes)
        elif last is not None:  # a suffix: the last so many bytes
            start, stop = max(size_bytes - last, 0), size_bytes
        else:
            return None
        if start >= stop:
            detail = f"the range covers none of the file's {size_bytes} bytes"
            headers = {"Content-Range": f"bytes */{size_bytes}"}
            raise ProblemError(problems.RANGE_NOT_SATISFIABLE, detail, headers=headers)
        return cls(start, stop, size_bytes)

    @property
    def content_range(self) -> str:
        """The value of `Content-Range`."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size_bytes}"


def _parse_position(digits: str) -> int | None:
    """A position in a file; None for no digits. Positions beyond every file are all the same one."""
    if not digits:
        return None
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS


def make_file_etag(artifact: Artifact) -> str:
    """The strong entity tag of a stored file: its SHA-256."""
    return f'"{artifact.sha256}"'


def cache_headers(artifact: Artifact) -> dict[str, str]:
    """Headers of every answer about a stored file: clients may keep it, and revalidate it before each use.

    A proxy that compressed it would invalidate its digest, and end resumed downloads.
    """
    return {"ETag": make_file_etag(artifact), "Cache-Control": "private, no-cache, no-transform"}


def not_modified(artifact: Artifact, if_none_match: str | None, headers: dict[str, str]) -> Response | None:
    """The 304 response, if the client already has the file."""
    if if_none_match is None or not matches(make_file_etag(artifact), if_none_match):
        return None
    return Response(status_code=304, headers=headers)


def redirect_to_bucket(request: Request, artifacts: ArtifactStore, artifact: Artifact) -> Response | None:
    """The way to a file that the bucket sends, whole or in ranges; None: this service sends it itself.

    A HEAD is answered here: a signed URL is for one method, and what is known of the file is in its row. So is a script
    of the page, which may load nothing from another host; links of the page are followed by the browser, which may.
    """
    is_sent_here = request.method == "HEAD" or _is_script_of_the_page(request)
    url = None if is_sent_here else artifacts.download_url(artifact.key)
    if url is None:
        return None
    # The URL is as good as a key to this file: neither stored by caches nor told to other sites.
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(status_code=307, headers=headers)


def _is_script_of_the_page(request: Request) -> bool:
    """Browsers say so, where the page came by HTTPS or from their own machine."""
    said = (request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-dest"))
    return said == ("same-origin", "empty")


def file_response(
    request: Request,
    artifacts: ArtifactStore,
    artifact: Artifact,
    headers: dict[str, str],
    byte_range: ByteRange | None = None,
) -> Response:
    """A stored file, whole (200) or in part (206), with its digest; the headers alone for HEAD."""
    part = byte_range or ByteRange(0, artifact.size_bytes, artifact.size_bytes)
    status = 206 if byte_range else 200
    headers = headers | {"Content-Length": str(part.stop - part.start), "Repr-Digest": _repr_digest(artifact)}
    if byte_range:
        headers["Content-Range"] = byte_range.content_range
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return _FileStream(artifacts.open(artifact.key), part, status, headers)


def _repr_digest(artifact: Artifact) -> str:
    return f"sha-256=:{base64.b64encode(bytes.fromhex(artifact.sha256)).decode()}:"


class _FileStream(StreamingResponse):
    """Part of an open file, which is closed even if the client disconnects before the first byte is sent."""

    def __init__(self, file: BinaryIO, part: ByteRange, status: int, headers: dict[str, str]) -> None:
        super().__init__(_read_chunks(file, part), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def _read_chunks(file: BinaryIO, part: ByteRange) -> Iterator[bytes]:
    file.seek(part.start)
    left = part.stop - part.start
    while left and (chunk := file.read(min(_CHUNK_BYTES, left))):
        left -= len(chunk)
        yield chunk
