"""Downloads: a checkpoint, whole or in ranges, with its digest."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import problems
from api.dependencies import ArchId, IfNoneMatch, OfSearch, StoresDep, matches
from api.problems import ProblemError, describe
from api.routes.searches import POLL_S
from autonl_core.spec.formats import FORMATS, FileFormat
from store.models import Artifact, Search
from store.searches import search_result
from store.states import SearchState
from store.stores import Stores

_CHUNK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MAX_DIGITS = 18  # no file has more bytes, and a number of thousands of digits takes long to read

_FORMAT_HELP = "; ".join(f"`{name}`: {facts.summary}" for name, facts in FORMATS.items())
_CONTENT: dict[str, Any] = {facts.media_type: {} for facts in FORMATS.values()}

router = APIRouter(tags=["architectures"])


@router.get(
    "/architectures/{arch_id}/checkpoint",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": _CONTENT,
            "description": "The file",
            "headers": problems.headers("ETag", "Repr-Digest", "Content-Disposition"),
        },
        206: {
            "content": _CONTENT,
            "description": "The asked range of it",
            "headers": problems.headers("ETag", "Repr-Digest", "Content-Range"),
        },
        304: {"description": "Not changed", "headers": problems.headers("ETag")},
        **describe(
            problems.NOT_FOUND,
            problems.CHECKPOINT_NOT_READY,
            problems.RANGE_NOT_SATISFIABLE,
            problems.INVALID_REQUEST,
        ),
    },
)
@router.head("/architectures/{arch_id}/checkpoint", include_in_schema=False)
def download_checkpoint(
    arch_id: ArchId,
    request: Request,
    stores: StoresDep,
    file_format: Annotated[FileFormat, Query(alias="format", description=_FORMAT_HELP)] = "safetensors",
    search_id: OfSearch = None,
    if_none_match: IfNoneMatch = None,
    if_range: Annotated[str | None, Header()] = None,
    wanted: Annotated[str | None, Header(alias="Range", description="one range of bytes, e.g. `bytes=1000-`")] = None,
) -> Response:
    """The trained network as one file, in the format asked for.

    A format that the search was not asked for, or that did not score what PyTorch scores, is refused with the reason.
    """
    artifact = stores.architectures.artifact(arch_id, file_format, search_id=search_id)
    if artifact is None:
        raise _not_ready(stores, arch_id, search_id, file_format)
    etag = f'"{artifact.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and matches(etag, if_none_match):
        return Response(status_code=304, headers=headers)
    span = _span(wanted, artifact.size_bytes) if if_range in (None, etag) else None
    start, stop = span or (0, artifact.size_bytes)
    headers |= _file_headers(artifact, arch_id, file_format) | {"Content-Length": str(stop - start)}
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{artifact.size_bytes}"
    status = 206 if span else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return _Sent(stores.artifacts.open(artifact.key), start, stop, status, headers)


def _file_headers(artifact: Artifact, arch_id: str, file_format: FileFormat) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(artifact.sha256)).decode()
    return {
        "Accept-Ranges": "bytes",
        "Content-Type": FORMATS[file_format].media_type,
        "Content-Disposition": f'attachment; filename="autonl-{arch_id}{FORMATS[file_format].ending}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """The asked bytes as [start, stop). None, the whole file, for anything but one range, as RFC 9110 allows."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    first, last = (_number(digits) for digits in match.groups()) if match else (None, None)
    if first is None and last is None:
        return None
    if first is None:  # the last so many bytes
        start, stop = max(size - (last or 0), 0), size
    else:
        start, stop = first, size if last is None else min(last + 1, size)
        if last is not None and last < first:
            return None
    if start >= stop:
        detail = f"the range holds none of the {size} bytes of the file"
        raise ProblemError(problems.RANGE_NOT_SATISFIABLE, detail, headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def _number(digits: str) -> int | None:
    """A position in a file, or None where nothing was said; one that no file can have is as good as any other."""
    if not digits:
        return None
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS


class _Sent(StreamingResponse):
    """The bytes [start, stop) of a file, which is closed also when the client goes away before the first of them."""

    def __init__(self, file: BinaryIO, start: int, stop: int, status: int, headers: dict[str, str]) -> None:
        super().__init__(_read(file, start, stop), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def _read(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop and (chunk := file.read(min(_CHUNK_BYTES, stop - start))):
        start += len(chunk)
        yield chunk


def _not_ready(stores: Stores, arch_id: str, search_id: str | None, file_format: FileFormat) -> ProblemError:
    """Why there is no file: it is still being made, or it never will be."""
    architecture = stores.architectures.get(arch_id, search_id=search_id)  # or: there is no such architecture at all
    search = stores.searches.get(architecture.search_id)
    if search.state.final:
        reason = _why_never(search, arch_id, file_format)
        return ProblemError(problems.CHECKPOINT_NOT_READY, reason, state=search.state)
    if search.state == SearchState.PAUSED:
        reason = f"search {search.id} is paused, without a checkpoint of this architecture; resume it to get one"
        return ProblemError(problems.CHECKPOINT_NOT_READY, reason, state=search.state)
    reason = f"search {search.id} is {search.state}; the checkpoint is there once it has succeeded"
    return ProblemError(problems.CHECKPOINT_NOT_READY, reason, headers={"Retry-After": str(POLL_S)}, state=search.state)


def _why_never(search: Search, arch_id: str, file_format: FileFormat) -> str:
    """Why a search that is over has no such file of this architecture."""
    result = search_result(search)
    if result is None or result.architecture.arch_id != arch_id:
        return f"search {search.id} {search.state} without a {file_format} file of this architecture; see its `result`"
    parity = result.parity.get(file_format) if file_format != "bundle" else None
    if parity is not None and parity.withheld:
        return f"search {search.id} withheld {file_format}: {parity.withheld}"
    there = ", ".join(result.files)
    return f"search {search.id} was not asked for {file_format}, see `export.formats`; it has {there or 'no file'}"
