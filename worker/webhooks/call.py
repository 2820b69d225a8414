"""One call of a receiver: one look at the name servers, public addresses only, a connection to what they named.

Nothing else decides where a call goes: no redirect is followed, no proxy is used, and the connection is made to the
address that was checked, with the name of the URL for TLS and in `Host`. The whole call has one time limit.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from store.webhooks.retries import CallResult
from store.webhooks.urls import WebhookUrl, WebhookUrlError, is_allowed

CALL_S = 15.0  # from the first packet to the last byte that is read
CONNECT_S = 5.0  # to one address
MAX_READ_BYTES = 2048  # of a response body
_MAX_ADDRESSES = 3  # of a name, that are tried
_BLOCK_BYTES = 16_384
_OK = range(200, 300)
_REDIRECT = range(300, 400)

Resolve = Callable[[str, int], Sequence[str]]


class CallError(Exception):
    """There is no answer; the message says why, in words for the owner of the webhook."""


@dataclass(frozen=True)
class Caller:
    """Calls receivers.

    Args:
        resolve: the addresses of a host, as text; raises OSError.
        tls: what receivers are verified with.
        loopback: whether loopback addresses may be called, also by http.
    """

    resolve: Resolve
    tls: ssl.SSLContext
    loopback: bool = False
    call_s: float = CALL_S

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> CallResult:
        """POST `body` to `url`. Every failure is a result; none is raised."""
        began = time.monotonic()
        status, problem, excerpt = None, None, ""
        try:
            status, excerpt = self._post(WebhookUrl.parse(url, loopback=self.loopback), headers, body)
            problem = _problem_of(status)
        except WebhookUrlError as error:
            problem = f"the URL {error}"
        except CallError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"no complete answer within {self.call_s:g} s"
        except ssl.SSLCertVerificationError as error:
            problem = f"its certificate is not valid: {error.verify_message}"
        except ssl.SSLError as error:
            problem = f"TLS failed: {error.reason or 'connection closed'}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"the connection failed: {_words(error)}"
        return CallResult(status, problem, excerpt, time.monotonic() - began)

    def _post(self, url: WebhookUrl, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Status and the beginning of the body."""
        addresses = self._addresses(url)
        deadline = time.monotonic() + self.call_s
        connection = http.client.HTTPConnection(url.host, url.port)
        with _connect(addresses, url.port, deadline) as plain:
            connected = plain
            if url.scheme == "https":
                connected = self.tls.wrap_socket(plain, server_hostname=url.host)
            with connected:
                connection.sock = _TimedSocket(connected, deadline)  # has all that it uses
                connection.request("POST", url.target, body, {"Host": url.host_header, **headers})
                response = connection.getresponse()
                return response.status, _read(response).decode("utf-8", "replace")

    def _addresses(self, url: WebhookUrl) -> Sequence[str]:
        """The addresses of the host, all of which may be called. Raises CallError."""
        try:
            addresses = self.resolve(url.host, url.port)
        except OSError as error:
            raise CallError(f"the name {url.host} was not resolved: {_words(error)}") from error
        refused = [address for address in addresses if not is_allowed(address, url, loopback=self.loopback)]
        if refused or not addresses:
            raise CallError(
                f"{url.host} leads to {', '.join(refused) or 'no address'}, which is not public: not called"
            )
        return addresses[:_MAX_ADDRESSES]


class _TimedSocket:
    """What `http.client` uses of a socket, under one deadline: a peer that sends a byte at a time gains nothing."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(_left_s(self._deadline))
            rest = rest[self._socket.send(rest[:_BLOCK_BYTES]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._socket, self._deadline))

    def close(self) -> None:
        """The socket is closed by who opened it."""


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the deadline."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # both are what callers pass
        self._socket.settimeout(_left_s(self._deadline))
        return self._socket.recv_into(buffer)


def _connect(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """A connection to the first address that accepts one. Raises OSError of the last one."""
    failure: OSError | None = None
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(min(CONNECT_S, _left_s(deadline)))
            opened.connect((address, port))
            opened.settimeout(_left_s(deadline))  # for the handshake
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise CallError(f"no connection: {_words(failure)}") if failure else CallError("no address to call")


def _left_s(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _read(response: http.client.HTTPResponse) -> bytes:
    """The beginning of the body. What is missing of an announced length is no failure: the status has arrived."""
    try:
        return response.read(MAX_READ_BYTES)
    except http.client.IncompleteRead as error:
        return error.partial


def _problem_of(status: int) -> str | None:
    if status in _OK:
        return None
    if status in _REDIRECT:
        return f"it answered {status}; redirects are not followed: change the URL of the webhook"
    return f"it answered {status}"


def _words(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:200]
