"""Refuses what pages of other sites make a browser send, and requests for hosts that this service does not know.

A browser sends requests on behalf of any page that it shows. It says so: `Sec-Fetch-Site`, or `Origin` from browsers
and over connections without it. Programs that are no browsers send neither. A site whose name was changed to point at
this service would be the same site to the browser; its name is in `Host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from api import problems
from api.problems import ProblemError

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What pages of other origins may send and read, where a setting allows these origins. No cookies.
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "allow_headers": [
        "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Range",
        "X-Request-Id",
    ],
    "expose_headers": [
        "Content-Disposition", "Content-Range", "Deprecation", "ETag", "Link", "Location", "Repr-Digest",
        "Retry-After", "Sunset", "X-Request-Id",
    ],
}  # fmt: skip
_OWN = ("same-origin", "none")  # a page of this service; the user, by a bookmark or the address bar


def require_own(scope: Scope, allowed_hosts: Sequence[str], cors_origins: Sequence[str] = ()) -> None:
    """Refuse a request that a page of another site sent, or that is for another host.

    Args:
        allowed_hosts: names by which the service is known; none: by any. An address is always one of its own.
        cors_origins: origins of other sites whose pages may do what pages of this service may.

    Raises:
        ProblemError: `unknown-host` or `cross-site-request`.
    """
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if allowed_hosts and host and not _is_known(host, allowed_hosts):
        shown = _name_of(host)[:200]
        detail = f"this service is not known as {shown!r}; if that is its name, have its operator add it: "
        raise ProblemError(problems.UNKNOWN_HOST, f"{detail}AUTONL_ALLOWED_HOSTS")
    if scope["method"] not in _READING and headers.get("origin") not in cors_origins and not _is_of_own_page(headers):
        detail = f"{scope['method']} was sent by a page of another site, which may not change anything here"
        raise ProblemError(problems.CROSS_SITE_REQUEST, detail)


def _is_known(host: str, allowed_hosts: Sequence[str]) -> bool:
    name = _name_of(host)
    return name in allowed_hosts or _is_address(name)


def _name_of(host: str) -> str:
    """`host` without its port, in lower case."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host


def _is_address(name: str) -> bool:
    """Whether it is an address: no site can make its own name one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_of_own_page(headers: Headers) -> bool:
    """Whether a page of this service sent the request, or no page at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = headers.get("origin")
    if origin is None:
        return True
    # Proxies may replace `Host`; no page can send what they say instead.
    own = headers.get("host"), *headers.get("x-forwarded-host", "").replace(" ", "").split(",")
    asking = urlsplit(origin).netloc  # empty for `null`: a frame without an origin, or a file
    return bool(asking) and asking in own
