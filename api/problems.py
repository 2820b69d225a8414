"""Errors of the API as RFC 9457 problem documents: their types, and the exception that carries one.

Every problem has `type title status detail instance request_id`, and `errors` when individual fields are at fault. A
problem names the value, the limit and the way out; it never echoes a body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.schemas.problems import FieldProblem

MEDIA_TYPE = "application/problem+json"
MAX_LISTED = 100  # fields listed in one problem; a body can have many more
_MAX_SUMMARIZED = 5  # of them repeated in `detail`


@dataclass(frozen=True)
class ProblemType:
    """A kind of error. `advice` is what GET `/problems/NAME` says about it."""

    name: str
    status: int
    title: str
    advice: str
    example: str  # of a `detail`
    extra: Mapping[str, Any] = field(default_factory=dict)  # additional members of the example
    headers: tuple[str, ...] = ()  # that every such response has

    @property
    def uri(self) -> str:
        return f"/problems/{self.name}"


TYPES: dict[str, ProblemType] = {}


def declare(*args: Any, **kwargs: Any) -> ProblemType:
    """A new type of problem, with the arguments of `ProblemType`; `GET /problems/{name}` explains it."""
    kind = ProblemType(*args, **kwargs)
    return TYPES.setdefault(kind.name, kind)


INVALID_REQUEST = declare(
    "invalid-request",
    422,
    "The request has invalid fields",
    "`errors` lists every invalid field and the reason. Correct them all and send the request again.",
    "1 problem: /seed: must be a valid integer",
    {"errors": [{"source": "body", "pointer": "/seed", "code": "int_type", "detail": "must be a valid integer"}]},
)
MALFORMED_REQUEST = declare(
    "malformed-request",
    400,
    "Malformed request",
    "The body is not valid JSON. Check quotes, commas, nesting and encoding (UTF-8).",
    "invalid JSON at character 10: Expecting ':' delimiter",
)
REQUEST_TIMEOUT = declare(
    "request-timeout",
    408,
    "The body did not arrive",
    "Nothing was stored. Send the request again, with at least a kilobyte a second and no pause of half a minute.",
    "after 1,024 bytes the body arrives too slowly; send the request again",
)
UNKNOWN_HOST = declare(
    "unknown-host",
    421,
    "Unknown host",
    "Use an address of the service, or a name that its operator lists in AUTONL_ALLOWED_HOSTS. Other names are "
    "refused, so that no site can point its own name at a service on your machine and read it through your browser.",
    "this service is not known as 'example.org'; if that is its name, have its operator add it: AUTONL_ALLOWED_HOSTS",
)
CROSS_SITE_REQUEST = declare(
    "cross-site-request",
    403,
    "Sent by another site",
    "Use the page of this service, or a program that is no browser.",
    "POST was sent by a page of another site, which may not change anything here",
)
UNAUTHORIZED = declare(
    "unauthorized",
    401,
    "A key is needed",
    "Send a key as `Authorization: Bearer KEY`; `autonl keys create` makes one. Keys expire, and can be revoked.",
    "the key is unknown, expired or revoked",
    headers=("WWW-Authenticate",),
)
FORBIDDEN = declare(
    "forbidden",
    403,
    "The key may not do this",
    "`scope` is what it lacks. Use another key; one with the scope `admin` can make it.",
    "this needs a key with the scope 'submit'; this one has: read",
    {"scope": "submit"},
)
BUDGET_INFEASIBLE = declare(
    "budget-infeasible",
    422,
    "No network in the search space fits this budget",
    "Choose a `flops_budget` inside `feasible_range`, another resolution, or another search space.",
    "flops_budget 1,000 is below the smallest network of 'tiny' at 8 pixels and 10 classes; "
    "choose between 192,928 and 628,928 MACs",
    {"feasible_range": {"min_macs": 192928, "max_macs": 628928}},
)
DATASET_INVALID = declare(
    "dataset-invalid",
    422,
    "Invalid dataset",
    "A dataset is a zip archive of class folders, or such a folder on a disk that the service can read. `detail` says "
    "what was found instead. Problems inside the dataset are in the report of its check: GET /datasets/NAME.",
    "not a zip archive, but a gzip file, such as a .tar.gz; pack the class folders as a zip",
)
DATASET_EXISTS = declare(
    "dataset-exists",
    409,
    "Dataset name already taken",
    "Other content is registered under this name, and searches may refer to it. Register yours under another name.",
    "dataset 'photos' is already registered from /data/photos (ready, 9b1c); choose another name",
)
NOT_FOUND = declare(
    "not-found",
    404,
    "Not found",
    "Check the id or name; the parent collection lists what exists.",
    "no search '0123456789abcdef'; GET /searches lists them",
)
METHOD_NOT_ALLOWED = declare(
    "method-not-allowed",
    405,
    "Method not allowed",
    "`Allow` lists the methods of this path; /openapi.json describes all paths.",
    "PUT is not allowed on /searches",
)
STATE_CONFLICT = declare(
    "state-conflict",
    409,
    "The search is in a state that does not allow this",
    "`state` is the current state; `links` of the search list what it allows. It can be deleted once it has ended.",
    "search 0123456789abcdef is succeeded; it cannot be cancelled. Requests possible in this state: none",
    {"state": "succeeded"},
)
CHECKPOINT_NOT_READY = declare(
    "checkpoint-not-ready",
    409,
    "No checkpoint yet",
    "While the search runs, try again after `Retry-After` seconds, or pause it: it then saves its best network so far.",
    "search 0123456789abcdef is running; the checkpoint will be available once it has succeeded",
    {"state": "running"},
)
REPORT_NOT_READY = declare(
    "report-not-ready",
    409,
    "No report yet",
    "The report is written at the end of a search. While it runs, try again after `Retry-After` seconds.",
    "search 0123456789abcdef is running; its report will be available once it has succeeded",
    {"state": "running"},
)
IDEMPOTENCY_KEY_REUSE = declare(
    "idempotency-key-reuse",
    422,
    "Idempotency key already used for another request",
    "Repeat the same body with this key, or send the new body with a new key.",
    "idempotency key 'a1' already created search 0123456789abcdef from a different body",
)
PRECONDITION_FAILED = declare(
    "precondition-failed",
    412,
    "The search has changed",
    "`If-Match` names a version that is no longer current. GET the search again before you decide.",
    'the search is now "5f2b", which If-Match does not list; GET it again',
)
DATASET_IN_USE = declare(
    "dataset-in-use",
    409,
    "The dataset cannot be deleted",
    "Searches that are not final need it: cancel them or wait, then delete it. Built-in datasets cannot be deleted.",
    "dataset 'photos' is used by search 0123456789abcdef; cancel the search, or wait until it ends",
)
WEIGHTS_INVALID = declare(
    "weights-invalid",
    422,
    "Invalid weights",
    "Send the file of weights as the body. What is wrong inside it is in `problems` of the weight set after its check: "
    "GET /weights/NAME.",
    "the body is empty; send the bytes of the file of weights",
)
WEIGHTS_EXIST = declare(
    "weights-exist",
    409,
    "Weight set name already taken",
    "Other weights have this name, or other details were stated about them. Upload yours under another name.",
    "weight set 'mine' already has other content (ready, 9b1c); choose another name, or delete that weight set first",
)
WEIGHTS_IN_USE = declare(
    "weights-in-use",
    409,
    "The weight set cannot be deleted",
    "Built-in weight sets cannot be deleted.",
    "weight set 'efficientnet-lite0' is built in and cannot be deleted",
)
TOO_MANY_WEBHOOKS = declare(
    "too-many-webhooks",
    409,
    "Too many webhooks",
    "Delete webhooks that are no longer needed; one webhook can get events of all kinds.",
    "there are 100 webhooks, and at most 100 are possible; delete one",
)
INSUFFICIENT_STORAGE = declare(
    "insufficient-storage",
    507,
    "Insufficient storage",
    "Nothing was stored. Free space on the disk of the service or of its database, delete datasets and weights that "
    "are no longer needed, or send less. `free_bytes`, `needed_bytes` and `reserve_bytes` say how much is missing: the "
    "reserve is kept free for what cannot wait (AUTONL_DISK_RESERVE_BYTES).",
    "on the disk of the service 1,048,576 bytes are free, 20,971,520 needed beside the reserve of 1,073,741,824; the "
    "reserve is AUTONL_DISK_RESERVE_BYTES=1,073,741,824: free space there, or delete datasets and weights",
    {"free_bytes": 1048576, "needed_bytes": 20971520, "reserve_bytes": 1073741824},
)
PAYLOAD_TOO_LARGE = declare(
    "payload-too-large",
    413,
    "Body too large",
    "Only an archive, sent to /datasets, and weights, sent to /weights, may be large, as application/zip, "
    "application/octet-stream or without a Content-Type. The limits are settings: AUTONL_MAX_UPLOAD_BYTES, "
    "AUTONL_MAX_WEIGHTS_BYTES, AUTONL_MAX_BODY_BYTES. A device table, sent to /devices, has at most a megabyte.",
    "the body is larger than 1,048,576 bytes",
)
RANGE_NOT_SATISFIABLE = declare(
    "range-not-satisfiable",
    416,
    "Range outside the file",
    "`Content-Range` gives the size of the file.",
    "the range covers none of the file's 512000 bytes",
    headers=("Content-Range",),
)
UNAVAILABLE = declare(
    "unavailable",
    503,
    "Service temporarily unavailable",
    "Nothing was changed. Try again after `Retry-After` seconds; a POST with an Idempotency-Key is safe to repeat.",
    "the database does not respond",
    headers=("Retry-After",),
)
INTERNAL = declare(
    "internal",
    500,
    "Internal server error",
    "Please report it with the `request_id`, under which the log of the service has the details.",
    "unexpected error; the log of the service has details under this request id",
)


class ProblemError(Exception):
    """Raised anywhere in the API to respond with a problem."""

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


def invalid_fields(
    errors: Sequence[FieldProblem], kind: ProblemType = INVALID_REQUEST, *, unlisted: int = 0, **extra: Any
) -> ProblemError:
    """The problem that lists `errors`; `detail` summarizes the first of them in one line.

    Args:
        unlisted: further errors, of which only the number is said.
    """
    total = len(errors) + unlisted
    shown = "; ".join(f"{error.pointer or 'the body'}: {error.detail}" for error in errors[:_MAX_SUMMARIZED])
    count = f"{total} problem{'s' if total > 1 else ''}"
    rest = f"; and {total - _MAX_SUMMARIZED} more" if total > _MAX_SUMMARIZED else ""
    return ProblemError(kind, f"{count}: {shown}{rest}", errors=errors[:MAX_LISTED], **extra)
