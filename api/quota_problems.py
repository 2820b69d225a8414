"""The problems of those who ask for more than they may have."""

from __future__ import annotations

from typing import Any

from api.problems import ProblemError, declare
from store.errors import QuotaExceeded

QUOTA_EXCEEDED = declare(
    "quota-exceeded",
    429,
    "A quota of the tenant is used up",
    "Nothing was stored. Send it again after `Retry-After` seconds, when some of it may be free; GET /usage shows the "
    "limits and what is used. The operator can raise a limit: `autonl tenants limits`.",
    "20 searches are queued, and 1 more would be too many; wait, or cancel some (the tenant's limit `queued` is 20)",
    {"quota": "queued", "value": 21, "limit": 20},
    headers=("Retry-After",),
)
QUOTA_FORBIDS = declare(
    "quota-forbids",
    403,
    "The tenant may not have as much",
    "Nothing was stored, and waiting does not help: ask for less, delete what is no longer needed, or have the "
    "operator raise the limit: `autonl tenants limits`. GET /usage shows the limits and what is used.",
    "priority 3 is too high; send a lower one, or have the operator raise the limit "
    "(the tenant's limit `priority` is 0)",
    {"quota": "priority", "value": 3, "limit": 0},
)
RATE_LIMITED = declare(
    "rate-limited",
    429,
    "Too many requests",
    "Wait for `Retry-After` seconds. `RateLimit` says how many requests are left of those that `RateLimit-Policy` "
    "allows; follow a search by its events instead of polling it often.",
    "600 requests of the kind `reads` were sent within 60 s, as many as are allowed; wait 12 s",
    {"policy": "reads", "limit": 600, "window_s": 60},
    headers=("Retry-After",),
)
COMPUTE_SPENT = declare(
    "compute-spent",
    409,
    "The search has used its compute",
    "Resume it with a higher `max_compute_s` in the body.",
    "search 0123456789abcdef has used 100.4 of the 100.0 CPU seconds that it may use; resume it with a higher "
    "`max_compute_s`",
)


def quota_problem(error: QuotaExceeded) -> ProblemError:
    """The problem of a quota that would be exceeded: whether waiting helps decides which."""
    members: dict[str, Any] = {"quota": error.quota, "value": error.value, "limit": error.limit}
    if error.retry_after_s is None:
        return ProblemError(QUOTA_FORBIDS, str(error), **members)
    return ProblemError(QUOTA_EXCEEDED, str(error), headers={"Retry-After": str(error.retry_after_s)}, **members)
