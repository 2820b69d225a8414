"""The file of a trained network as a response: in any format, whole or in ranges, with its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response

from api import problems
from api.dependencies import IfNoneMatch
from api.file_responses import (
    ByteRange,
    cache_headers,
    file_response,
    make_file_etag,
    not_modified,
    redirect_to_bucket,
)
from api.openapi_responses import header_schemas, problem_responses
from api.problems import ProblemError
from api.search_responses import POLL_S
from autonl_core.spec.file_names import network_name
from autonl_core.spec.formats import FORMATS, FileFormat
from store.models import Search
from store.searches import search_result
from store.states import SearchState
from store.stores import Stores

_FORMAT_HELP = "; ".join(f"`{name}`: {facts.summary}" for name, facts in FORMATS.items())
_CONTENT: dict[str, Any] = {facts.media_type: {} for facts in FORMATS.values()}
_STOPPED = frozenset({SearchState.CANCELLED, SearchState.FAILED, SearchState.PAUSED})  # before its files were exported
CHECKPOINT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": _CONTENT,
        "description": "The file",
        "headers": header_schemas("ETag", "Repr-Digest", "Content-Disposition"),
    },
    206: {
        "content": _CONTENT,
        "description": "The requested range of the file",
        "headers": header_schemas("ETag", "Repr-Digest", "Content-Range"),
    },
    304: {"description": "Not modified", "headers": header_schemas("ETag")},
    307: {
        "description": "The file is in a bucket, which sends it, or ranges of it, to a client that follows soon",
        "headers": {"Location": {"description": "a signed URL", "required": True, "schema": {"type": "string"}}},
    },
    **problem_responses(
        problems.NOT_FOUND, problems.CHECKPOINT_NOT_READY, problems.RANGE_NOT_SATISFIABLE, problems.INVALID_REQUEST
    ),
}


@dataclass(frozen=True)
class _Asked:
    """Which file a request wants, and which part of it."""

    file_format: FileFormat
    if_none_match: str | None
    if_range: str | None
    range_header: str | None


def _asked(
    file_format: Annotated[FileFormat, Query(alias="format", description=_FORMAT_HELP)] = "safetensors",
    if_none_match: IfNoneMatch = None,
    if_range: Annotated[str | None, Header()] = None,
    range_header: Annotated[
        str | None, Header(alias="Range", description="one range of bytes, e.g. `bytes=1000-`")
    ] = None,
) -> _Asked:
    return _Asked(file_format, if_none_match, if_range, range_header)


Asked = Annotated[_Asked, Depends(_asked)]


def checkpoint_response(
    request: Request, stores: Stores, arch_id: str, search_id: str | None, asked: Asked
) -> Response:
    """The file that is asked for, of an architecture; of any search that found it, if `search_id` is None.

    Raises:
        NotFound: no such architecture.
        ProblemError: there is no such file, or not this part of it.
    """
    artifact = stores.architectures.artifact(arch_id, asked.file_format, search_id=search_id)
    if artifact is None:
        raise _not_ready(stores, arch_id, search_id, asked.file_format)
    headers = cache_headers(artifact)
    if (unchanged := not_modified(artifact, asked.if_none_match, headers)) is not None:
        return unchanged
    is_current = asked.if_range in (None, make_file_etag(artifact))
    byte_range = ByteRange.parse(asked.range_header, artifact.size_bytes) if is_current else None
    if (elsewhere := redirect_to_bucket(request, stores.artifacts, artifact)) is not None:
        return elsewhere
    facts = FORMATS[asked.file_format]
    name = network_name(stores.searches.get(artifact.search_id).dataset, arch_id) + facts.ending
    headers |= {
        "Accept-Ranges": "bytes",
        "Content-Type": facts.media_type,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return file_response(request, stores.artifacts, artifact, headers, byte_range)


def _not_ready(stores: Stores, arch_id: str, search_id: str | None, file_format: FileFormat) -> ProblemError:
    """Why the file does not exist: it is still being made, or never will be. Raises NotFound."""
    architecture = stores.architectures.get(arch_id, search_id=search_id)
    search = stores.searches.get(architecture.search_id)
    if search.state in _STOPPED and stores.architectures.artifact(arch_id, "safetensors", search_id=search.id):
        reason = _only_weights(search, arch_id, file_format)
        return ProblemError(problems.CHECKPOINT_NOT_READY, reason, state=search.state)
    if search.state.final:
        reason = _why_never(search, arch_id, file_format)
        return ProblemError(problems.CHECKPOINT_NOT_READY, reason, state=search.state)
    if search.state == SearchState.PAUSED:
        reason = f"search {search.id} is paused and has no checkpoint of this architecture; resume it to get one"
        return ProblemError(problems.CHECKPOINT_NOT_READY, reason, state=search.state)
    reason = f"search {search.id} is {search.state}; the checkpoint will be available once it has succeeded"
    return ProblemError(problems.CHECKPOINT_NOT_READY, reason, headers={"Retry-After": str(POLL_S)}, state=search.state)


def _only_weights(search: Search, arch_id: str, file_format: FileFormat) -> str:
    """Why a search that stopped before its end has a checkpoint, and no other format."""
    way_out = f"GET /architectures/{arch_id}/checkpoint?search_id={search.id}&format=safetensors gives its best network"
    more = "; resume it to get the others" if search.state == SearchState.PAUSED else ""
    return f"a {search.state} search has no {file_format}; {way_out}{more}"


def _why_never(search: Search, arch_id: str, file_format: FileFormat) -> str:
    """Why a final search has no such file of this architecture."""
    result = search_result(search)
    if result is None or result.architecture.arch_id != arch_id:
        return f"search {search.id} {search.state} without a {file_format} file of this architecture; see its `result`"
    withheld: dict[str, str | None] = {name: parity.withheld for name, parity in result.parity.items()}
    if reason := withheld.get(file_format):
        return f"{file_format} of search {search.id} is withheld: {reason}"
    available = ", ".join(result.files) or "no file"
    return f"search {search.id} was not asked to export {file_format} (`export.formats`); it has {available}"
