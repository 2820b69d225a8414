"""Errors of the API as RFC 9457 problem documents: their types, the exception that carries one, their OpenAPI form.

Every problem has `type title status detail instance request_id`, and `errors` when single fields are to blame. A
problem says what was sent, what is allowed and what to do; it never repeats a body back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
MAX_LISTED = 100  # fields listed in one problem; a body of a megabyte can have many more


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    source: Literal["body", "query", "path", "header"] = "body"
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the name of the parameter")
    code: str = Field(description="stable word for programs, e.g. `greater_than_equal`")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). Some types have further members, e.g. `feasible_range`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/problems/NAME`; GET it for an explanation")
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")
    request_id: str
    errors: list[FieldProblem] | None = None


@dataclass(frozen=True)
class ProblemType:
    """A kind of error, the same in every response; `advice` is what its page tells."""

    name: str
    status: int
    title: str
    advice: str
    example: str  # a `detail` as it may be sent
    extra: Mapping[str, Any] = field(default_factory=dict)  # further members of the example
    headers: tuple[str, ...] = ()  # that always come with it

    @property
    def uri(self) -> str:
        return f"/problems/{self.name}"


TYPES: dict[str, ProblemType] = {}


def _declare(*args: Any, **kwargs: Any) -> ProblemType:
    kind = ProblemType(*args, **kwargs)
    TYPES[kind.name] = kind
    return kind


INVALID_REQUEST = _declare(
    "invalid-request",
    422,
    "The request has invalid fields",
    "`errors` lists every field that is wrong and why. Correct them all and send the request again.",
    "1 problem: /seed: Input should be a valid integer",
    {
        "errors": [
            {"source": "body", "pointer": "/seed", "code": "int_type", "detail": "Input should be a valid integer"}
        ]
    },
)
MALFORMED_REQUEST = _declare(
    "malformed-request",
    400,
    "The request cannot be read",
    "The body is not JSON. Check quotes, commas, nesting and encoding (UTF-8).",
    "the body cannot be read as JSON",
)
BUDGET_INFEASIBLE = _declare(
    "budget-infeasible",
    422,
    "No network of the search space fits this budget",
    "Choose a `flops_budget` inside `feasible_range`, another resolution, or another search space.",
    "flops_budget 1,000 is below the smallest network of 'tiny' at 8 pixels and 10 classes; "
    "choose between 192,928 and 628,928 MACs",
    {"feasible_range": {"min_macs": 192928, "max_macs": 628928}},
)
DATASET_INVALID = _declare(
    "dataset-invalid",
    422,
    "The data set cannot be used",
    "A data set is a zip archive, or a folder on a disk the service can read, of class folders. `detail` says what was "
    "found instead. What is wrong inside, the report of its check tells: GET /datasets/NAME.",
    "this is no zip archive: it starts with b'\\x1f\\x8b\\x08\\x00'; pack the class folders as a zip",
)
DATASET_EXISTS = _declare(
    "dataset-exists",
    409,
    "The data set name is taken",
    "Another content is registered under this name. Searches refer to it: register yours under another name.",
    "data set 'photos' is registered with another content; choose another name",
)
NOT_FOUND = _declare(
    "not-found",
    404,
    "There is nothing here",
    "Check the id or name; the collection above it lists what there is.",
    "no search '0123456789abcdef'; GET /searches lists them",
)
METHOD_NOT_ALLOWED = _declare(
    "method-not-allowed",
    405,
    "This method is not allowed here",
    "`Allow` names the methods of this path; /openapi.json describes all paths.",
    "PUT is not allowed on /searches",
)
STATE_CONFLICT = _declare(
    "state-conflict",
    409,
    "The search is in a state that does not allow this",
    "`state` is the state it is in; `links` of the search name what can be asked of it. Delete only what is final.",
    "search 0123456789abcdef is succeeded; it cannot be cancelled any more",
    {"state": "succeeded"},
)
CHECKPOINT_NOT_READY = _declare(
    "checkpoint-not-ready",
    409,
    "There is no checkpoint yet",
    "While the search runs, ask again after `Retry-After` seconds, or pause it: it then keeps its best so far.",
    "search 0123456789abcdef is running; the checkpoint is there once it has succeeded",
    {"state": "running"},
)
REPORT_NOT_READY = _declare(
    "report-not-ready",
    409,
    "There is no report yet",
    "It is written at the end of a search. While it runs, ask again after `Retry-After` seconds.",
    "search 0123456789abcdef is running; its report is there once it has succeeded",
    {"state": "running"},
)
IDEMPOTENCY_KEY_REUSE = _declare(
    "idempotency-key-reuse",
    422,
    "This idempotency key was used for another request",
    "Repeat the very same body with the same key, or send a new body with a new key.",
    "idempotency key 'a1' already created search 0123456789abcdef from another body",
)
PRECONDITION_FAILED = _declare(
    "precondition-failed",
    412,
    "It changed since you looked",
    "`If-Match` names a version that is no longer current. GET it again and decide anew.",
    'the search is now "5f2b", not what If-Match names',
)
DATASET_IN_USE = _declare(
    "dataset-in-use",
    409,
    "The data set is in use",
    "Searches that are not final need it: cancel them or wait, then delete. Built-in data sets stay.",
    "search 0123456789abcdef uses data set 'photos'; cancel it, or wait until it ends",
)
INSUFFICIENT_STORAGE = _declare(
    "insufficient-storage",
    507,
    "The service has no room for this",
    "Nothing was kept. Make room on the disk of the service, delete data sets that are not needed, or send less.",
    "1,048,576 bytes are free, 20,971,520 needed",
)
PAYLOAD_TOO_LARGE = _declare(
    "payload-too-large",
    413,
    "The body is too large",
    "Only an archive, sent to /datasets with Content-Type: application/zip, may be large. Limits are settings: "
    "AUTONL_MAX_UPLOAD_BYTES, AUTONL_MAX_BODY_BYTES.",
    "the body is larger than 1,048,576 bytes",
)
RANGE_NOT_SATISFIABLE = _declare(
    "range-not-satisfiable",
    416,
    "The range lies outside the file",
    "`Content-Range` tells the size of the file.",
    "bytes=900000- begins after the last of 512000 bytes",
    headers=("Content-Range",),
)
UNAVAILABLE = _declare(
    "unavailable",
    503,
    "The service cannot answer just now",
    "Nothing was changed. Ask again after `Retry-After` seconds; a POST with an Idempotency-Key is safe to repeat.",
    "the database does not answer",
    headers=("Retry-After",),
)
INTERNAL = _declare(
    "internal",
    500,
    "The service made a mistake",
    "Please report it with the `request_id`, under which the log holds the details.",
    "an unexpected error; the log has it under this request id",
)


class ProblemError(Exception):
    """Raised anywhere in the API to answer with a problem."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = extra


def invalid(errors: Sequence[FieldProblem], kind: ProblemType = INVALID_REQUEST, **extra: Any) -> ProblemError:
    """The problem that lists `errors`; `detail` names them all in one line, as far as that stays readable."""
    listed = list(errors[:MAX_LISTED])
    shown = "; ".join(f"{error.pointer or 'the body'}: {error.detail}" for error in listed[:5])
    count = f"{len(errors)} problem" + ("s" if len(errors) > 1 else "")
    rest = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    return ProblemError(kind, f"{count}: {shown}{rest}", errors=listed, **extra)


_HEADERS = {
    "Content-Disposition": "`attachment`, and a name for the file",
    "Content-Security-Policy": "it runs no script and loads nothing",
    "Content-Range": "which bytes these are, and of how many",
    "ETag": "names this version; of a checkpoint it is the SHA-256",
    "Location": "path of what was made",
    "Repr-Digest": "SHA-256 of the whole file (RFC 9530)",
    "Retry-After": "seconds until it pays to ask again",
}


def headers(*names: str) -> dict[str, Any]:
    """The OpenAPI form of headers that a response always has."""
    return {
        name: {"description": _HEADERS[name], "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
    }


def describe(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that can answer with these problems, an example each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        response = responses.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
                **({"headers": headers(*kind.headers)} if kind.headers else {}),
            },
        )
        example = {
            "type": kind.uri,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.example,
            "instance": "/searches",
            "request_id": "4f1d2c3b5a697887",
            **kind.extra,
        }
        response["content"][MEDIA_TYPE]["examples"][kind.name] = {"summary": kind.title, "value": example}
    return responses
