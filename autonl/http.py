"""What both clients need of httpx: its settings for a service, requests, and errors."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from autonl.errors import ConnectionFailed
from autonl.steps import Reply, Request, Upload
from store.service_url import DEFAULT_SERVICE_URL

CONNECT_S = 5.0
BLOCK_BYTES = 1 << 18
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)


class Service:
    """Where a service is, and how to speak to it.

    Args:
        url: None: what AUTONL_URL says, or the service of this machine.
        key: API key; None: what AUTONL_KEY says, if anything. Without one, the login that the URL may contain is sent.
    Raises:
        ConnectionFailed: the URL is none of a service.
    """

    def __init__(self, url: str | None, key: str | None) -> None:
        given = (url or os.environ.get("AUTONL_URL") or DEFAULT_SERVICE_URL).rstrip("/")
        self._key = key or os.environ.get("AUTONL_KEY")
        try:
            self._parts = urlsplit(given)
            valid = self._parts.scheme in ("http", "https") and bool(self._parts.hostname) and self._parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise ConnectionFailed(given, f"{given!r} does not begin with http://HOST or https://HOST")
        self.url = urlunsplit(self._parts._replace(netloc=self._parts.netloc.rpartition("@")[2]))

    def settings(self) -> dict[str, Any]:
        """The arguments of an httpx client: no redirects, and only this service's login and proxy."""
        # Reading all certificates takes longer than a request; without TLS, none is trusted.
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        proxy = _proxy_of(self._parts)
        if self._parts.scheme == "https" or (proxy or "").startswith("https:"):
            trusted = ssl.create_default_context()
        login, at, _ = self._parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        return {
            "auth": httpx.BasicAuth(unquote(user), unquote(password)) if at and not self._key else None,
            "headers": {
                "Accept": "application/json",
                **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            },
            "proxy": proxy,
            "trust_env": False,
            "verify": trusted,
        }

    @staticmethod
    def settings_elsewhere(url: str) -> dict[str, Any]:
        """The arguments of an httpx client for a URL of another server: no redirects, and no login."""
        return {"proxy": _proxy_of(urlsplit(url)), "trust_env": False, "verify": ssl.create_default_context()}

    def arguments(self, request: Request) -> dict[str, Any]:
        """The arguments of `build_request`, except for a body that is a file."""
        headers = dict(request.headers)
        if isinstance(request.body, Upload):
            headers["Content-Length"] = str(request.body.file.stat().st_size)
        return {
            "method": request.method,
            "url": request.elsewhere or f"{self.url}{request.path}",
            "params": {name: value for name, value in request.params.items() if value is not None} or None,
            "headers": headers,
            "content": request.body if isinstance(request.body, bytes) else None,
            "timeout": httpx.Timeout(request.timeout_s, connect=CONNECT_S),
        }

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what httpx raises into ConnectionFailed."""
        try:
            yield
        except (httpx.RequestError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise ConnectionFailed(self.url, reason, broken=isinstance(error, _BROKEN)) from error


def reply_of(response: httpx.Response, body: bytes = b"") -> Reply:
    headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    return Reply(str(response.url.copy_with(query=None)), response.status_code, headers, body)


def file_blocks(file: BinaryIO, upload: Upload) -> Iterator[bytes]:
    """The content of an open file in blocks; reports the bytes consumed after each one."""
    sent_bytes = 0
    while block := file.read(BLOCK_BYTES):
        yield block
        sent_bytes += len(block)
        upload.on_sent(sent_bytes)


def _proxy_of(service: SplitResult) -> str | None:
    """The proxy that the environment names for a service; never one for this machine."""
    host = service.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    url = getproxies().get(service.scheme)
    return url if url is None or "://" in url else f"http://{url}"
