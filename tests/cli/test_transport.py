"""The HTTP client of the commands, where the standard library leaves something to it."""

from __future__ import annotations

import base64
import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from cli.client import Client
from cli.errors import ApiError
from cli.transport import Http, TransportError, blocks, read
from tests.servers import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[int, list[str]]]:
    """A port on which every answer follows one request of one connection, then it is closed; and what was requested."""
    requests: list[str] = []

    def serve() -> None:
        for answer in answers:
            with listening.accept()[0] as connection:
                requests.append(connection.recv(1 << 16).decode())
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], requests
        thread.join(20)


def get(http: Http, path: str) -> bytes:
    with http.open("GET", path) as response:
        return read(response)


def test_a_connection_is_used_again_until_the_service_closes_it(service: httpx.Client) -> None:
    http = Http(str(service.base_url))
    get(http, "/healthz")
    assert http._route is not None
    first = http._route.connection.sock
    get(http, "/healthz")
    assert http._route.connection.sock is first
    http.close()

    with answering(OK, OK) as (port, requests):
        http = Http(f"http://127.0.0.1:{port}")
        assert [get(http, "/"), get(http, "/")] == [b"{}", b"{}"]
        assert len(requests) == 2
    http.close()


def test_a_request_that_meets_the_end_of_a_used_connection_is_sent_once_more() -> None:
    """The service closes the connection just as the request arrives."""
    with answering(OK, OK) as (port, requests):
        http = Http(f"http://127.0.0.1:{port}")
        get(http, "/first")
        assert http._route is not None
        used = http._route.connection.sock
        assert used is not None
        used.shutdown(socket.SHUT_WR)  # what is sent from now on fails, and nothing has said so before
        assert get(http, "/second") == b"{}"
        assert [request.split()[1] for request in requests] == ["/first", "/second"]
        http.close()


def test_one_that_must_not_be_repeated_gets_a_connection_of_its_own(service: httpx.Client) -> None:
    http = Http(str(service.base_url))
    get(http, "/healthz")
    assert http._route is not None
    used = http._route.connection.sock
    with http.open("POST", "/searches", content=b"{}") as response:
        assert response.status >= 400
        read(response)
    assert http._route.connection.sock is not used
    http.close()


def test_a_body_that_was_not_read_to_its_end_is_not_taken_for_the_next_response(service: httpx.Client) -> None:
    http = Http(str(service.base_url))
    with http.open("GET", "/openapi.json") as response:
        response.read(10)
    assert get(http, "/healthz") == b'{"status":"ok"}'
    http.close()


def test_a_body_that_ends_too_soon_is_an_error() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"
    with answering(cut, cut) as (port, _):
        http = Http(f"http://127.0.0.1:{port}")
        with pytest.raises(TransportError, match="IncompleteRead"):
            get(http, "/")
        received = []
        with pytest.raises(TransportError, match="IncompleteRead"), http.open("GET", "/") as response:
            received += list(blocks(response))


def test_the_login_in_a_url_is_sent_as_a_header_and_odd_characters_are_quoted() -> None:
    with answering(OK) as (port, requests), Client(f"http://me:s%40fe@127.0.0.1:{port}/autonl/") as client:
        assert client.search("a b/ü") == {}
    (request,) = requests
    assert request.startswith("GET /autonl/searches/a%20b/%C3%BC HTTP/1.1\r\n")
    assert f"Authorization: Basic {base64.b64encode(b'me:s@fe').decode()}\r\n" in request
    assert f"Host: 127.0.0.1:{port}\r\n" in request


def test_the_proxy_of_the_environment_is_used_except_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with answering(OK) as (port, requests):
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{port}")
        with Client("http://autonl.example:8000") as client:
            assert client.search("x") == {}
        with Client(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(ApiError, match="refused"):
            client.search("x")
    (request,) = requests
    assert request.startswith("GET http://autonl.example:8000/searches/x HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:secret').decode()}\r\n" in request


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://[::1"]
)
def test_what_is_no_url_of_a_service_is_named(url: str) -> None:
    with Client(url) as client, pytest.raises(ApiError, match="No response from"):
        client.search("x")


def test_a_service_that_refuses_a_body_before_its_end_is_heard_out() -> None:
    refusal = b'HTTP/1.1 413 Too Large\r\nContent-Length: 36\r\n\r\n{"title":"The archive is too large"}'
    with answering(refusal) as (port, _):
        http = Http(f"http://127.0.0.1:{port}")
        body = itertools.repeat(bytes(1 << 16))  # ends only when the connection does
        with http.open("POST", "/datasets", content=body, headers={"Content-Length": str(1 << 40)}) as response:
            assert (response.status, b"too large" in read(response)) == (413, True)
        http.close()
