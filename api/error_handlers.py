"""Turns every exception into a problem document, so that clients see errors in one form only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from api import device_problems, model_problems, problems, quota_problems
from api.problems import ProblemError, ProblemType
from api.schemas.problems import FieldProblem, Problem
from autonl_core.errors import DatasetUnavailable, OtherVersion
from store.db import UNAVAILABLE, is_full
from store.errors import (
    BucketUnavailable,
    CannotRollBack,
    ComputeSpent,
    DatasetExists,
    DatasetInUse,
    DeviceExists,
    IdempotencyConflict,
    NotFound,
    PageTokenError,
    QuotaExceeded,
    StateConflict,
    StoreError,
    TooManyAliases,
    TooManyDevices,
    TooManyWebhooks,
    WeightSetExists,
    WeightSetInUse,
)
from store.json_values import plain_json, plain_text

DATABASE_RETRY_S = 5
_MAX_POINTER = 200  # characters
SEND_AS_JSON = "send the body as JSON, with Content-Type: application/json"
_PLAIN_DETAILS = {  # by pydantic error type, where its own message is about Python
    "dict_type": "must be a JSON object",
    "extra_forbidden": "unknown field",
    "missing": "is required",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_FIELD_SOURCES = frozenset({"body", "query", "path", "header"})
_TYPE_BY_STATUS: Mapping[int, ProblemType] = {
    HTTPStatus.BAD_REQUEST: problems.MALFORMED_REQUEST,
    HTTPStatus.NOT_FOUND: problems.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: problems.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_TIMEOUT: problems.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: problems.PAYLOAD_TOO_LARGE,
}
_TYPE_BY_STORE_ERROR: Mapping[type[StoreError], ProblemType] = {
    NotFound: problems.NOT_FOUND,
    StateConflict: problems.STATE_CONFLICT,
    ComputeSpent: quota_problems.COMPUTE_SPENT,
    IdempotencyConflict: problems.IDEMPOTENCY_KEY_REUSE,
    DatasetExists: problems.DATASET_EXISTS,
    DatasetInUse: problems.DATASET_IN_USE,
    WeightSetExists: problems.WEIGHTS_EXIST,
    WeightSetInUse: problems.WEIGHTS_IN_USE,
    DeviceExists: device_problems.DEVICE_EXISTS,
    TooManyDevices: device_problems.TOO_MANY_DEVICES,
    CannotRollBack: model_problems.CANNOT_ROLL_BACK,
    TooManyAliases: model_problems.TOO_MANY_ALIASES,
    TooManyWebhooks: problems.TOO_MANY_WEBHOOKS,
}


def install(app: FastAPI) -> None:
    """Make `app` respond to every error with a problem document."""
    app.add_exception_handler(ProblemError, _handle_problem)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(StoreError, _handle_store_error)
    app.add_exception_handler(BucketUnavailable, _handle_unavailable_bucket)
    app.add_exception_handler(DatasetUnavailable, _handle_unavailable_dataset)
    app.add_exception_handler(OtherVersion, _handle_other_version)
    for unavailable in UNAVAILABLE:
        app.add_exception_handler(unavailable, _handle_unavailable_database)


def problem_response(request: Request, error: ProblemError) -> Response:
    """`error` as a response."""
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
    # The path and field names come from the client: what UTF-8 cannot encode is removed.
    content = plain_json(problem.model_dump(mode="python", exclude_none=True))
    return JSONResponse(content, error.kind.status, headers=error.headers, media_type=problems.MEDIA_TYPE)


def field_problems(errors: Iterable[Mapping[str, Any]], source: str | None = None) -> list[FieldProblem]:
    """Validation errors as field problems, without the values that were sent.

    Args:
        source: where the fields come from; None: the first part of each location names it.
    """
    listed: list[FieldProblem] = []
    for error in errors:
        location = [str(part) for part in error["loc"]]
        origin = source or (location.pop(0) if location and location[0] in _FIELD_SOURCES else "body")
        detail = _PLAIN_DETAILS.get(error["type"]) or _in_words(error["msg"])
        values = {"source": origin, "pointer": _pointer(origin, location), "code": error["type"], "detail": detail}
        listed.append(FieldProblem.model_validate(values))
    return listed


def _in_words(message: str) -> str:
    """What a message of pydantic says of a value: "Input should be greater than 0" -> "must be greater than 0"."""
    said = re.sub(r"^[A-Z][a-z]+ should ", "must ", message.removeprefix("Value error, "))
    return said.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")


def _pointer(source: str, location: list[str]) -> str:
    """A JSON pointer into a body, or the name of a parameter; cut where a client made it very long."""
    if not location:
        return ""
    if source == "body":
        location = ["", *(part.replace("~", "~0").replace("/", "~1") for part in location)]
    pointer = plain_text("/".join(location))
    return pointer if len(pointer) <= _MAX_POINTER else pointer[:_MAX_POINTER] + "…"


async def _handle_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(request, error)


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    listed = error.errors()
    if listed and listed[0]["type"] == "json_invalid":
        place = listed[0]["loc"][-1]
        reason = listed[0]["ctx"]["error"]
        return problem_response(
            request, ProblemError(problems.MALFORMED_REQUEST, f"invalid JSON at character {place}: {reason}")
        )
    if isinstance(error.body, bytes):  # not parsed, because of its media type
        return problem_response(request, ProblemError(problems.MALFORMED_REQUEST, SEND_AS_JSON))
    shown = listed[: problems.MAX_LISTED]
    unlisted = len(listed) - len(shown)
    return problem_response(request, problems.invalid_fields(field_problems(shown), unlisted=unlisted))


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _TYPE_BY_STATUS.get(error.status_code, problems.INTERNAL)
    path = request.url.path[:200]
    details = {
        problems.NOT_FOUND.name: f"no resource at {path}; /openapi.json lists all paths",
        problems.METHOD_NOT_ALLOWED.name: f"{request.method} is not allowed on {path}",
        problems.PAYLOAD_TOO_LARGE.name: error.detail,  # written where the limit is known
        problems.REQUEST_TIMEOUT.name: error.detail,
        problems.MALFORMED_REQUEST.name: "the body is nested too deeply, or has a number with too many digits",
    }
    detail = details.get(kind.name, problems.INTERNAL.example)
    headers = dict(error.headers or {})
    if kind is problems.METHOD_NOT_ALLOWED and (allowed := _allowed_methods(request)):
        headers["Allow"] = allowed
    return problem_response(request, ProblemError(kind, detail, headers=headers))


def _allowed_methods(request: Request) -> str:
    """The methods of a path. Each is a separate route, and the router itself names only those of the first.

    Empty below a mount, which sets its own `Allow`.
    """
    allowed = {
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in request.app.routes)
    }
    allowed |= {"HEAD"} if "GET" in allowed else set()
    return ", ".join(method for method in METHODS if method in allowed)


async def _handle_store_error(request: Request, error: Exception) -> Response:
    kind = _TYPE_BY_STORE_ERROR.get(type(error)) if isinstance(error, StoreError) else None
    if isinstance(error, PageTokenError):
        field = FieldProblem(source="query", pointer="page_token", code="page_token", detail=str(error))
        return problem_response(request, problems.invalid_fields([field]))
    if isinstance(error, QuotaExceeded):
        return problem_response(request, quota_problems.quota_problem(error))
    if kind is None:
        raise error
    extra: dict[str, Any] = {"state": error.state} if isinstance(error, StateConflict) else {}
    return problem_response(request, ProblemError(kind, str(error), **extra))


async def _handle_unavailable_database(request: Request, error: Exception) -> Response:
    if is_full(error):
        detail = "the disk of the database is full; nothing was changed. Free space on it, then send the request again"
        return problem_response(request, ProblemError(problems.INSUFFICIENT_STORAGE, detail))
    headers = {"Retry-After": str(DATABASE_RETRY_S)}
    detail = f"the database does not respond ({type(error).__name__}); nothing was changed"
    return problem_response(request, ProblemError(problems.UNAVAILABLE, detail, headers=headers))


async def _handle_unavailable_bucket(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(DATABASE_RETRY_S)}
    detail = "the bucket that has this file does not respond; the file is safe"
    return problem_response(request, ProblemError(problems.UNAVAILABLE, detail, headers=headers))


async def _handle_unavailable_dataset(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(DATABASE_RETRY_S)}
    detail = "the bucket that has this dataset does not respond; nothing was registered"
    return problem_response(request, ProblemError(problems.UNAVAILABLE, detail, headers=headers))


async def _handle_other_version(request: Request, error: Exception) -> Response:
    """While a service is upgraded, another replica knows what this one does not."""
    headers = {"Retry-After": str(DATABASE_RETRY_S)}
    detail = f"{error}; nothing was changed; ask again, or upgrade this service"
    return problem_response(request, ProblemError(problems.UNAVAILABLE, detail, headers=headers))
