"""Connections to a service: which are used again, what is sent on them, and what becomes of those that break."""

from __future__ import annotations

import base64
import itertools
import socket
import threading
from pathlib import Path

import httpx
import pytest

from autonl import Client, ConnectionFailed, Refused, documents
from autonl.steps import Request, send
from tests.autonl.conftest import Caller
from tests.autonl.scripted_service import answer, answering
from tests.servers import free_port

OK = answer("200 OK")


def test_a_request_that_meets_the_end_of_a_connection_is_sent_once_more(caller: Caller) -> None:
    """The service closes the connection just as the request arrives, and no retries are asked for."""
    with answering(b"", OK) as (url, requests):
        assert caller.run(url, documents.search("x"), retries=0) == {}
        assert len(requests) == 2
    with answering(b"", b"") as (url, _), pytest.raises(ConnectionFailed):
        caller.run(url, documents.search("x"), retries=0)


def test_one_that_must_not_be_repeated_is_sent_once(caller: Caller) -> None:
    with answering(b"") as (url, requests), pytest.raises(ConnectionFailed):
        caller.run(url, send(Request("POST", "/anything")))
    assert len(requests) == 1


def test_a_body_that_ends_too_soon_is_an_error(caller: Caller) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"
    with answering(cut, cut) as (url, _), pytest.raises(ConnectionFailed, match="RemoteProtocolError"):
        caller.run(url, documents.search("x"), retries=0)


def test_the_key_is_sent_and_goes_before_the_login_in_the_url(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    login = f"Basic {base64.b64encode(b'me:s@fe').decode()}"
    with answering(OK, OK, OK) as (url, requests):
        with_login = url.replace("http://", "http://me:s%40fe@") + "/autonl/"
        caller.run(with_login, documents.search("a b/ü"))
        caller.run(with_login, documents.search("x"), key="argument")
        monkeypatch.setenv("AUTONL_KEY", "variable")
        monkeypatch.setenv("AUTONL_URL", url)
        caller.run(None, documents.search("x"))
    sent = [request.lower() for request in requests]
    assert sent[0].startswith("get /autonl/searches/a%20b%2f%c3%bc http/1.1\r\n")
    assert f"authorization: {login}\r\n".lower() in sent[0]
    assert f"host: {url.removeprefix('http://')}\r\n" in sent[0]
    assert "authorization: bearer argument\r\n" in sent[1]
    assert "authorization: bearer variable\r\n" in sent[2]


def test_neither_key_nor_login_is_in_an_error() -> None:
    with Client(f"http://me:secret@127.0.0.1:{free_port()}", key="hidden", retries=0) as client:
        with pytest.raises(ConnectionFailed) as failed:
            client.search("x")
        assert "secret" not in str(failed.value) + client.url
        assert "hidden" not in str(failed.value)


def test_the_proxy_of_the_environment_is_used_except_for_this_machine(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with answering(OK) as (url, requests):
        monkeypatch.setenv("http_proxy", url.replace("http://", "http://me:secret@"))
        assert caller.run("http://autonl.example:8000", documents.search("x")) == {}
        with pytest.raises(ConnectionFailed, match="ConnectError"):
            caller.run(f"http://127.0.0.1:{free_port()}", documents.search("x"), retries=0)
    (request,) = requests
    assert request.startswith("GET http://autonl.example:8000/searches/x HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:secret').decode()}\r\n" in request


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://[::1"]
)
def test_what_is_no_url_of_a_service_is_named(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="does not begin with"):
        Client(url)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is far larger than what fits between client and service, and takes no space."""
    file = tmp_path / "large.zip"
    with file.open("wb") as opened:
        opened.truncate(1 << 28)
    return file


def test_a_service_that_refuses_a_body_before_its_end_is_heard_out(
    caller: Caller, service: httpx.Client, large: Path
) -> None:
    with pytest.raises(Refused, match="not a zip archive"):
        caller.run(str(service.base_url), documents.upload_dataset("photos", large, lambda sent: None), retries=0)


def test_even_one_that_closes_the_connection_at_once(large: Path) -> None:
    refusal = answer("413 Too Large", {"title": "The archive is too large", "detail": "1 GB"})
    with answering(refusal) as (url, _), Client(url, retries=0) as client, pytest.raises(Refused, match="too large"):
        client.run(documents.upload_dataset("photos", large, lambda sent: None))


def test_a_connection_is_used_again_until_the_service_closes_it() -> None:
    accepted = itertools.count()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                with listening.accept()[0] as connection:
                    number = next(accepted)
                    for _ in range(2):
                        if not connection.recv(1 << 16):
                            break
                        body = f'{{"connection": {number}}}'.encode()
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                if number == 1:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
            used = [client.run(documents.search("x"))["connection"] for _ in range(3)]
        thread.join(20)
    assert used == [0, 0, 1]
