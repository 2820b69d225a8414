"""The `Location` of a response, so that it is found through a proxy that serves the API below a path prefix.

Such a proxy removes the prefix from the requests that it passes on, so the API does not know it. A reference relative
to the request needs no prefix. Without a proxy, `Location` is a path, which clients may append to the service's URL.
"""

from __future__ import annotations

import posixpath
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

_ADDED_BY_PROXIES = frozenset(
    ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto", "x-real-ip")
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def location_for_client(scope: Scope, location: str) -> str:
    """`location`, a path of this service or a URL, as the client of `scope` can resolve it."""
    target, headers = urlsplit(location), Headers(scope=scope)
    if target.netloc and target.netloc != headers.get("host"):
        return location  # another service's
    path = target._replace(scheme="", netloc="")
    if _is_proxied(scope, headers):
        folder, name = posixpath.split(target.path)
        folder = posixpath.relpath(folder, posixpath.dirname(scope["path"]))
        path = path._replace(path=posixpath.join(folder, name))
    return path.geturl()


def _is_proxied(scope: Scope, headers: Headers) -> bool:
    """Whether a proxy may be on the way: it says so, speaks HTTP/1.0, or the client addressed another port."""
    if scope.get("autonl.prefix_removed") or scope["http_version"] == "1.0" or _ADDED_BY_PROXIES & set(headers):
        return True
    try:
        asked = urlsplit(f"//{headers.get('host', '')}").port or _DEFAULT_PORTS.get(scope["scheme"])
    except ValueError:  # no number
        asked = None
    server = scope.get("server")
    return server is None or server[1] != asked
