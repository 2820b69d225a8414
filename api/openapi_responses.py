"""The OpenAPI form of responses: headers that they always have, and problems with an example of each."""

from __future__ import annotations

from typing import Any

from api.problems import MEDIA_TYPE, ProblemType

_HEADERS = {
    "Content-Disposition": "`attachment`, with a file name",
    "Content-Security-Policy": "allows no scripts and no external resources",
    "Content-Range": "which bytes these are, and the size of the file",
    "ETag": "identifies this version; for a file it is the SHA-256",
    "Location": "path of the new resource",
    "Repr-Digest": "SHA-256 of the whole file (RFC 9530)",
    "Retry-After": "seconds to wait before the next request",
    "WWW-Authenticate": "`Bearer`",
}


def header_schemas(*names: str) -> dict[str, Any]:
    """The OpenAPI form of headers that a response always has."""
    return {
        name: {"description": _HEADERS[name], "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
    }


def problem_responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that can respond with these problems, with an example of each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        response = responses.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
                **({"headers": header_schemas(*kind.headers)} if kind.headers else {}),
            },
        )
        response["content"][MEDIA_TYPE]["examples"][kind.name] = {"summary": kind.title, "value": _example(kind)}
    return responses


def _example(kind: ProblemType) -> dict[str, Any]:
    return {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.example,
        "instance": "/searches",
        "request_id": "4f1d2c3b5a697887",
        **kind.extra,
    }
