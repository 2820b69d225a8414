"""HTTP requests with the standard library: what a larger client adds would take longer to import than a request.

A response is returned whatever its status; redirects are not followed. Proxies are taken from the environment.
"""

from __future__ import annotations

import contextlib
import http.client
import select
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

CONNECT_S = 5.0
READ_S = 30.0  # for the response to begin, and between two of its parts
_BLOCK_BYTES = 1 << 16
_RESERVED = "!#$%&'()*+,/:;=?@[]~"  # characters of a path that mean something, or are quoted already
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Params = Mapping[str, str | int | None]  # None: not sent


class TransportError(Exception):
    """There was no response, or it was interrupted. Says which error it was."""


class Http:
    """Makes requests to one service, on one connection as long as that lasts. Close it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._route: _Route | None = None

    def close(self) -> None:
        if self._route is not None:
            self._route.connection.close()

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = READ_S,
    ) -> Iterator[HTTPResponse]:
        """The response to a request; its body is not read yet. Raises TransportError."""
        query = urlencode({name: value for name, value in (params or {}).items() if value is not None})
        target = quote(path, safe=_RESERVED) + (f"?{query}" if query else "")
        request = _Request(method, target, content, headers or {}, timeout_s)
        finished = False
        try:
            with _broken_connections():
                response = self._response(request)
            yield response
            finished = response.isclosed()
        finally:
            if not finished:  # the rest of the body would be taken for the next response
                self.close()

    def _response(self, request: _Request) -> HTTPResponse:
        """On a connection that the service may be about to close only if the request may be sent twice: a GET."""
        if request.method != "GET":
            self.close()
        used_before = self._route is not None and self._route.connection.sock is not None
        try:
            return self._ask(request)
        except ConnectionError:
            if not used_before:
                raise
            self.close()
            return self._ask(request)

    def _ask(self, request: _Request) -> HTTPResponse:
        route = self._connected(request.timeout_s)
        target, headers = route.prefix + request.target, {**route.headers, **request.headers}
        # A service that refuses a body before its end breaks the connection, and has said why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            route.connection.request(request.method, target, request.content, headers)
        return route.connection.getresponse()

    def _connected(self, timeout_s: float) -> _Route:
        """The route to the service, open as far as this side knows."""
        if self._route is None:
            self._route = _route_to(urlsplit(self.url))
        connection = self._route.connection
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # between two requests only a service that closes the connection makes it readable
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(timeout_s)
        return self._route


def is_error(response: HTTPResponse) -> bool:
    """Whether the service did not do what was asked."""
    return not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES


def read(response: HTTPResponse) -> bytes:
    """The whole body. Raises TransportError."""
    with _broken_connections():
        return response.read()


def blocks(response: HTTPResponse) -> Iterator[bytes]:
    """The body as it arrives. Raises TransportError, also if the connection closes before the end."""
    while True:
        with _broken_connections():
            block = response.read1(_BLOCK_BYTES)
            if not block and response.length:
                raise http.client.IncompleteRead(b"", response.length)
        if not block:
            return
        yield block


@contextlib.contextmanager
def _broken_connections() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: the URL is none
        raise TransportError(f"{type(error).__name__}: {error}") from error


class _Request(NamedTuple):
    """A request, with the path and query that it is sent to."""

    method: str
    target: str
    content: bytes | Iterable[bytes] | None
    headers: Mapping[str, str]
    timeout_s: float


class _Route(NamedTuple):
    """A connection to a service or to its proxy, and what every request on it says."""

    connection: HTTPConnection
    prefix: str  # of every path
    headers: Mapping[str, str]


def _route_to(service: SplitResult) -> _Route:
    """A route that is not open yet."""
    if service.scheme not in ("http", "https") or not service.hostname:
        raise ValueError(f"{service.geturl()!r} does not begin with http://HOST or https://HOST")
    secure = service.scheme == "https"
    headers = {"Accept": "application/json", **_login(service, "Authorization")}
    proxy = _proxy_of(service)
    hop = proxy or service
    connection = (HTTPSConnection if secure else HTTPConnection)(hop.hostname or "", hop.port, timeout=CONNECT_S)
    if proxy is None:
        return _Route(connection, service.path, headers)
    if secure:
        connection.set_tunnel(service.hostname, service.port, _login(proxy, "Proxy-Authorization"))
        return _Route(connection, service.path, headers)
    address = service.netloc.rpartition("@")[2]
    return _Route(connection, f"http://{address}{service.path}", headers | _login(proxy, "Proxy-Authorization"))


def _proxy_of(service: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for a service; never one for this machine."""
    assert service.hostname is not None
    if service.hostname in _LOOPBACK:
        return None
    from urllib.request import getproxies, proxy_bypass  # rarely needed, and not light

    url = None if proxy_bypass(service.hostname) else getproxies().get(service.scheme)
    return urlsplit(url if "://" in url else f"http://{url}") if url else None


def _login(url: SplitResult, header: str) -> dict[str, str]:
    """The header that sends the user and password that a URL may name."""
    login, at, _ = url.netloc.rpartition("@")
    return {header: f"Basic {b64encode(unquote(login).encode()).decode()}"} if at else {}
