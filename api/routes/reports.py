"""The report of a search: what it found, as a page to read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from api import problems
from api.access import ReadStores
from api.dependencies import IfNoneMatch, SearchId
from api.file_responses import cache_headers, file_response, not_modified
from api.openapi_responses import header_schemas, problem_responses
from api.search_files import find_file
from autonl_core.spec.file_names import report_name

ReportFormat = Literal["html", "markdown"]
_ARTIFACTS: dict[ReportFormat, tuple[str, str]] = {  # the kind of artifact and its media type
    "html": ("report-html", "text/html; charset=utf-8"),
    "markdown": ("report-md", "text/markdown; charset=utf-8"),
}
# A report contains names and images from users. They are escaped; if that ever fails, the page still runs no script,
# loads nothing and has no origin, neither here nor in a file saved by a browser.
REPORT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>..."},
            "text/markdown": {"schema": {"type": "string"}, "example": "# digits within 400k MACs\n..."},
        },
        "description": "The report",
        "headers": header_schemas("ETag", "Repr-Digest", "Content-Security-Policy"),
    },
    304: {"description": "Not modified", "headers": header_schemas("ETag")},
    **problem_responses(problems.NOT_FOUND, problems.REPORT_NOT_READY, problems.INVALID_REQUEST),
}

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("/{search_id}/report", response_class=Response, responses=_RESPONSES)
@router.head("/{search_id}/report", include_in_schema=False)
def get_report(
    search_id: SearchId,
    request: Request,
    stores: ReadStores,
    report_format: Annotated[
        ReportFormat | None, Query(alias="format", description="default: what `Accept` prefers, else html")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The report of a search: data, architecture, budget, curves, errors, baselines, formats, and how it was run.

    HTML is a single file that needs no network; Markdown has the same tables without the figures.
    """
    search = stores.searches.get(search_id)
    kind, media_type = _ARTIFACTS[report_format or _preferred_format(accept)]
    artifact = find_file(stores, search, kind, "report", problems.REPORT_NOT_READY)
    headers = cache_headers(artifact) | {"Vary": "Accept"}
    if (unchanged := not_modified(artifact, if_none_match, headers)) is not None:
        return unchanged
    ending = "html" if kind == "report-html" else "md"
    headers |= {
        "Content-Disposition": f'inline; filename="{report_name(search.dataset, search.id, ending)}"',
        "Content-Security-Policy": REPORT_SECURITY_POLICY,
        "Content-Type": media_type,
    }
    return file_response(request, stores.artifacts, artifact, headers)


def _preferred_format(accept: str) -> ReportFormat:
    """Markdown for clients that prefer it to HTML, or accept only that; otherwise HTML."""
    qualities = {"text/html": 0.0, "text/markdown": 0.0}
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media_type in qualities:
            qualities[media_type] = _quality(parameters)
    return "markdown" if qualities["text/markdown"] > qualities["text/html"] else "html"


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else 0.0
    return 1.0
