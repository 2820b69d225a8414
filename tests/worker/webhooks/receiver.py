"""A receiver of webhooks on loopback, with TLS by an authority of the test, and misbehaviours."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import trustme

NAME = "hooks.example"


@dataclass(frozen=True)
class Request:
    """What arrived: header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


Behaviour = Callable[[http.server.BaseHTTPRequestHandler], object]


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Respond at once."""

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def late(after_s: float) -> Behaviour:
    """Accept a message after a while."""

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(after_s)
        answer(204)(handler)

    return respond


def drip(every_s: float) -> Behaviour:
    """Send a byte of the head now and then, without end."""

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        with contextlib.suppress(OSError):
            while True:
                time.sleep(every_s)
                handler.wfile.write(b"a")
                handler.wfile.flush()

    return respond


def flood(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Send a body without end."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"x" * 65536)


@dataclass
class Receiver:
    """`received` is in the order of arrival. `behaviour` may be changed at any time."""

    port: int = 0
    authority: trustme.CA | None = None
    behaviour: Behaviour = field(default_factory=lambda: answer(204))
    received: list[Request] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)  # that TLS clients asked for


@contextlib.contextmanager
def receiving(*, tls: bool, name: str = NAME) -> Iterator[Receiver]:
    """A running receiver on 127.0.0.1."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 20

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {key.lower(): value for key, value in self.headers.items()}
            receiver.received.append(Request(self.command, self.path, headers, body))
            receiver.behaviour(self)

        do_GET = do_POST  # noqa: N815  (so called by the base class)

        def log_message(self, *_: object) -> None:
            """Nothing: tests read `received`."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that hang up are part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            receiver.authority = trustme.CA()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            receiver.authority.issue_cert(name).configure_cert(context)
            context.sni_callback = lambda _socket, asked, _context: receiver.names.append(asked)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def trusting(receiver: Receiver) -> ssl.SSLContext:
    """What trusts this receiver's authority, and no other."""
    context = ssl.create_default_context()
    assert receiver.authority is not None
    receiver.authority.configure_trust(context)
    return context


@contextlib.contextmanager
def silent_listener() -> Iterator[socket.socket]:
    """Accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening
