"""Turns every exception into a problem document, so that no client ever sees another form of error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from api import problems
from api.problems import FieldProblem, Problem, ProblemError, ProblemType
from store.db import UNAVAILABLE
from store.errors import (
    DatasetExists,
    DatasetInUse,
    IdempotencyConflict,
    NotFound,
    PageTokenError,
    StateConflict,
    StoreError,
)
from store.json_values import plain_json, plain_text

DATABASE_RETRY_S = 5
NOT_SENT_AS_JSON = "send the body as JSON, with Content-Type: application/json"
_PLAINER = {
    "dict_type": "must be a JSON object",
    "extra_forbidden": "there is no such field",
    "missing": "is required",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SOURCES = frozenset({"body", "query", "path", "header"})
_BY_STATUS: Mapping[int, ProblemType] = {
    HTTPStatus.BAD_REQUEST: problems.MALFORMED_REQUEST,
    HTTPStatus.NOT_FOUND: problems.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: problems.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: problems.PAYLOAD_TOO_LARGE,
}
_STORE_ERRORS: Mapping[type[StoreError], ProblemType] = {
    NotFound: problems.NOT_FOUND,
    StateConflict: problems.STATE_CONFLICT,
    IdempotencyConflict: problems.IDEMPOTENCY_KEY_REUSE,
    DatasetExists: problems.DATASET_EXISTS,
    DatasetInUse: problems.DATASET_IN_USE,
}


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreError, _store)
    for unavailable in UNAVAILABLE:
        app.add_exception_handler(unavailable, _database_down)


def respond(request: Request, error: ProblemError) -> Response:
    """The response that carries `error`."""
    problem = Problem(
        type=error.kind.uri,
        title=error.kind.title,
        status=error.kind.status,
        detail=error.detail,
        instance=request.url.path,
        request_id=request.scope.get("autonl.request_id", ""),
        errors=error.errors or None,
        **error.extra,
    )
    # The path and field names come from the client: whatever UTF-8 cannot hold is taken out.
    content = plain_json(problem.model_dump(mode="python", exclude_none=True))
    return JSONResponse(content, error.kind.status, headers=error.headers, media_type=problems.MEDIA_TYPE)


def field_problems(errors: Iterable[Mapping[str, Any]], source: str | None = None) -> list[FieldProblem]:
    """Validation errors as field problems, without the values that were sent.

    `source` says where the fields come from; None: the first part of each location does.
    """
    found: list[FieldProblem] = []
    for error in errors:
        location = [str(part) for part in error["loc"]]
        origin = source or (location.pop(0) if location and location[0] in _SOURCES else "body")
        path = location if origin != "body" else ["", *(p.replace("~", "~0").replace("/", "~1") for p in location)]
        pointer = plain_text("/".join(path)) if location else ""
        detail = _PLAINER.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        shown = pointer if len(pointer) <= 200 else pointer[:200] + "…"
        found.append(
            FieldProblem.model_validate({"source": origin, "pointer": shown, "code": error["type"], "detail": detail})
        )
    return found


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return respond(request, error)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    listed = error.errors()
    if listed and listed[0]["type"] == "json_invalid":
        place = listed[0]["loc"][-1]
        reason = listed[0]["ctx"]["error"]
        return respond(request, ProblemError(problems.MALFORMED_REQUEST, f"not JSON at character {place}: {reason}"))
    if isinstance(error.body, bytes):  # left unread because of its media type
        return respond(request, ProblemError(problems.MALFORMED_REQUEST, NOT_SENT_AS_JSON))
    return respond(request, problems.invalid(field_problems(listed)))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, problems.INTERNAL)
    path = request.url.path[:200]
    details = {
        problems.NOT_FOUND.name: f"there is nothing at {path}; /openapi.json lists all paths",
        problems.METHOD_NOT_ALLOWED.name: f"{request.method} is not allowed on {path}",
        problems.PAYLOAD_TOO_LARGE.name: error.detail,  # said where the limit is known
        problems.MALFORMED_REQUEST.name: "the body cannot be read: nested too deeply, or a number with too many digits",
    }
    detail = details.get(kind.name, problems.INTERNAL.example)
    headers = dict(error.headers or {})
    if kind is problems.METHOD_NOT_ALLOWED and (allowed := _allowed(request)):
        headers["Allow"] = allowed
    return respond(request, ProblemError(kind, detail, headers=headers))


def _allowed(request: Request) -> str:
    """All methods of a path, each a route of its own: the router names those of the first one only.

    Empty below a mount, which answers by itself.
    """
    return ", ".join(
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in request.app.routes)
    )


async def _store(request: Request, error: Exception) -> Response:
    kind = _STORE_ERRORS.get(type(error)) if isinstance(error, StoreError) else None
    if isinstance(error, PageTokenError):
        wrong = FieldProblem(source="query", pointer="page_token", code="page_token", detail=str(error))
        return respond(request, problems.invalid([wrong]))
    if kind is None:
        raise error
    extra: dict[str, Any] = {"state": error.state} if isinstance(error, StateConflict) else {}
    return respond(request, ProblemError(kind, str(error), **extra))


async def _database_down(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(DATABASE_RETRY_S)}
    detail = f"the database does not answer ({type(error).__name__}); nothing was changed"
    return respond(request, ProblemError(problems.UNAVAILABLE, detail, headers=headers))
