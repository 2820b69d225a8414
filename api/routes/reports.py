"""Reports: what a search found, for people to read."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from api import problems
from api.dependencies import IfNoneMatch, SearchId, StoresDep, matches
from api.problems import ProblemError, describe, headers
from api.routes.searches import POLL_S
from store.models import Artifact, Search
from store.states import SearchState
from store.stores import Stores

ReportFormat = Literal["html", "markdown"]
_KINDS: dict[ReportFormat, tuple[str, str]] = {
    "html": ("report-html", "text/html; charset=utf-8"),
    "markdown": ("report-md", "text/markdown; charset=utf-8"),
}
# A report holds names and pictures from outside. They are escaped; should one not be, it still runs nothing, loads
# nothing and is of no origin: neither here nor in the file that a browser saves.
REPORT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get(
    "/{search_id}/report",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>..."},
                "text/markdown": {"schema": {"type": "string"}, "example": "# digits within 400k MACs\n..."},
            },
            "description": "The report",
            "headers": headers("ETag", "Repr-Digest", "Content-Security-Policy"),
        },
        304: {"description": "Not changed", "headers": headers("ETag")},
        **describe(problems.NOT_FOUND, problems.REPORT_NOT_READY, problems.INVALID_REQUEST),
    },
)
@router.head("/{search_id}/report", include_in_schema=False)
def get_report(
    search_id: SearchId,
    request: Request,
    stores: StoresDep,
    report_format: Annotated[
        ReportFormat | None, Query(alias="format", description="left out: what `Accept` prefers, else html")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """What came of a search: data, architecture, budget, curves, mistakes, baselines, formats, and how it was run.

    The HTML form is one file that needs no network; the Markdown form has the same tables without the pictures.
    """
    search = stores.searches.get(search_id)
    kind, media_type = _KINDS[report_format or _preferred(accept)]
    artifact = _find(stores, search, kind)
    etag = f'"{artifact.sha256}"'
    sent = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    if if_none_match is not None and matches(etag, if_none_match):
        return Response(status_code=304, headers=sent)
    sent |= {
        "Content-Security-Policy": REPORT_SECURITY_POLICY,
        "Content-Type": media_type,
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(artifact.sha256)).decode()}:",
    }
    if request.method == "HEAD":
        return Response(headers=sent | {"Content-Length": str(artifact.size_bytes)})
    with stores.artifacts.open(artifact.key) as file:
        return Response(file.read(), headers=sent)


def _preferred(accept: str) -> ReportFormat:
    """Markdown for who prefers it to HTML, or knows only that; HTML for everybody else."""
    quality = {"text/html": 0.0, "text/markdown": 0.0}
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media_type in quality:
            quality[media_type] = _quality(parameters)
    return "markdown" if quality["text/markdown"] > quality["text/html"] else "html"


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else 0.0
    return 1.0


def _find(stores: Stores, search: Search, kind: str) -> Artifact:
    """The report of a search, or the problem that says why there is none: not yet, or never."""
    if search.best_arch_id is not None:
        artifact = stores.architectures.artifact(search.best_arch_id, kind, search_id=search.id)
        if artifact is not None:
            return artifact
    if search.state.final:
        reason = f"search {search.id} {search.state} without a report; see its `result` or `error`"
        raise ProblemError(problems.REPORT_NOT_READY, reason, state=search.state)
    if search.state == SearchState.PAUSED:
        reason = f"search {search.id} is paused; its report is written when it ends, so resume it"
        raise ProblemError(problems.REPORT_NOT_READY, reason, state=search.state)
    reason = f"search {search.id} is {search.state}; its report is there once it has succeeded"
    later = {"Retry-After": str(POLL_S)}
    raise ProblemError(problems.REPORT_NOT_READY, reason, headers=later, state=search.state)
