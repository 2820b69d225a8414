"""Clients that never finish what they began to send lose their connection, and are refused with the reason if heard."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from api import body_limits
from api.app import create_app
from api.body_limits import seconds_left
from api.timed_protocol import TimedProtocol
from store.settings import Settings
from tests.api.http_service import WITHOUT_TLS

HEAD_S = 0.5


@pytest.fixture
def address(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A service that waits for half a second where it otherwise waits for twenty or thirty."""
    monkeypatch.setattr(TimedProtocol, "head_s", HEAD_S)
    monkeypatch.setattr(body_limits, "PART_S", HEAD_S)
    listening = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    server = uvicorn.Server(uvicorn.Config(create_app(settings), http=TimedProtocol, log_config=None))
    thread = threading.Thread(target=server.run, args=([listening],), name="api")
    thread.start()
    yield listening.getsockname()
    server.should_exit = True
    thread.join()
    listening.close()


def everything_from(connection: socket.socket) -> bytes:
    """What the service sends until it closes the connection."""
    connection.settimeout(20)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            received += part
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(address: tuple[str, int], sent: bytes) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(sent)
        assert everything_from(connection) == b""


def test_a_head_that_comes_byte_by_byte_ends_it_too(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection, contextlib.suppress(OSError):
        for _ in range(200):
            connection.sendall(b"X")
            time.sleep(0.02)
        pytest.fail("the connection is still open")


def test_so_does_the_next_head_on_a_connection_that_is_kept(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"status":"ok"}'):
            answer += connection.recv(1 << 16)
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert everything_from(connection) == b""


def test_a_response_may_take_longer(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=20, verify=WITHOUT_TLS) as client:
        search = client.post("/searches", json={"dataset": "digits", "flops_budget": "400k"}).json()
        with client.stream("GET", search["links"]["events"]) as stream:
            time.sleep(3 * HEAD_S)
            client.post(f"{search['links']['self']}/cancel")
            assert "cancelled" in "".join(stream.iter_text())


@pytest.mark.long
def test_half_a_body_is_refused_with_the_reason(address: tuple[str, int]) -> None:
    for path, kind in (("/searches", b"application/json"), ("/datasets?name=x", b"application/zip")):
        with socket.create_connection(address) as connection:
            head = b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind
            connection.sendall(head + b"\r\nContent-Length: 1000\r\n\r\nPK\x03\x04")
            answer = everything_from(connection)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"after 4 bytes the body arrives too slowly" in answer


@pytest.mark.long
def test_four_hundred_of_them_leave_nothing_behind(address: tuple[str, int]) -> None:
    head = b"POST /searches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    with contextlib.ExitStack() as opened:
        connections = []
        for _ in range(400):
            connections.append(opened.enter_context(socket.create_connection(address)))
            connections[-1].sendall(head)
        answer = httpx.get(f"http://{address[0]}:{address[1]}/healthz", timeout=20)
        assert answer.status_code == 200
        for connection in connections:
            assert everything_from(connection)[:12] in (b"HTTP/1.1 408", b"")  # nothing: the head itself came too late


@pytest.mark.parametrize(
    ("received_bytes", "waited_s", "left_s"),
    [
        (0, 0, 30),
        (0, 29, 1),
        (10, 29, 1 + 10 / 1024),
        (1024, 29, 2),  # a kilobyte buys a second
        (100 * 1024, 29, 30),  # and never more than half a minute
        (1 << 30, 3600, 30),
        (28 * 1024, 56, 2),  # half a kilobyte a second, from the beginning on
        (29 * 1024, 58, 1),
        (100, 600, 30 + 100 / 1024 - 600),  # too late
    ],
)
def test_how_slow_a_body_may_be(received_bytes: int, waited_s: float, left_s: float) -> None:
    assert seconds_left(received_bytes, waited_s) == pytest.approx(left_s)
