"""One call: where it goes, what it verifies, how long it takes, over real TLS on loopback."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from store.webhooks.retries import CallResult
from tests.servers import free_port
from tests.store.webhooks.test_urls import PRIVATE_V4, PRIVATE_V6, PUBLIC, embedding, notations
from tests.worker.webhooks.connections import watching_connections
from tests.worker.webhooks.receiver import NAME, Receiver, answer, drip, flood, receiving, silent_listener, trusting
from worker.webhooks import call as call_module
from worker.webhooks.call import MAX_READ_BYTES, Caller
from worker.webhooks.names import SystemResolver

HEADERS = {"Content-Type": "application/json", "webhook-id": "msg_1"}
BODY = b'{"type":"search.succeeded"}'


class Names:
    """A name server: answers once per question, and counts."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions = list(answers), list[str]()

    def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.questions.append(host)
        return self.answers


def caller_of(receiver: Receiver, *addresses: str, call_s: float = 10) -> Caller:
    """A caller that trusts the receiver, whose name leads to loopback unless said otherwise."""
    return Caller(Names(*(addresses or ("127.0.0.1",))), trusting(receiver), loopback=True, call_s=call_s)


def post(caller: Caller, receiver: Receiver, path: str = "/in?a=b") -> CallResult:
    return caller.post(f"https://{NAME}:{receiver.port}{path}", HEADERS, BODY)


def test_a_message_arrives_as_it_was_sent() -> None:
    with receiving(tls=True) as receiver:
        receiver.behaviour = answer(200, b"thanks")
        result = post(caller_of(receiver), receiver)
        assert (result.status, result.problem, result.excerpt) == (200, None, "thanks")
        assert 0 < result.duration_s < 5
        (request,) = receiver.received
        assert (request.method, request.target, request.body) == ("POST", "/in?a=b", BODY)
        assert request.headers["host"] == f"{NAME}:{receiver.port}"
        assert request.headers["webhook-id"] == "msg_1"
        assert receiver.names == [NAME]


def test_the_connection_is_made_to_the_address_that_was_checked() -> None:
    """The name server is asked once, and nothing in between resolves the name again."""
    with receiving(tls=True) as receiver, watching_connections() as seen:
        caller = caller_of(receiver)
        assert post(caller, receiver).succeeded
        assert seen.addresses == [("127.0.0.1", receiver.port)]
        assert seen.names == []
        assert isinstance(caller.resolve, Names)
        assert caller.resolve.questions == [NAME]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with receiving(tls=True) as receiver, watching_connections() as seen:
        assert post(caller_of(receiver), receiver).succeeded
        assert seen.addresses == [("127.0.0.1", receiver.port)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with receiving(tls=False) as secret, receiving(tls=True) as receiver, watching_connections() as seen:
        receiver.behaviour = answer(status, Location=f"http://127.0.0.1:{secret.port}/latest/meta-data")
        result = post(caller_of(receiver), receiver)
        assert result.status == status
        assert "redirects are not followed" in str(result.problem)
        assert str(secret.port) not in str(result.problem)
        assert secret.received == []
        assert seen.addresses == [("127.0.0.1", receiver.port)]


def test_a_certificate_of_another_name_or_authority_is_refused() -> None:
    with receiving(tls=True, name="other.example") as other, receiving(tls=True) as receiver:
        assert "certificate is not valid" in str(post(caller_of(other), other).problem)
        assert "certificate is not valid" in str(post(caller_of(other), receiver).problem)
        assert (other.received, receiver.received) == ([], [])


def test_an_address_that_is_not_public_is_never_connected_to() -> None:
    with receiving(tls=True) as receiver, watching_connections() as seen:
        tls = trusting(receiver)
        for address in (*PRIVATE_V4, *PRIVATE_V6, *(each for one in PRIVATE_V4 for each in embedding(one))):
            for answers in ([address], [PUBLIC[0], address], [address, PUBLIC[0]]):  # mixed with public ones as well
                caller = Caller(Names(*answers), tls)
                result = post(caller, receiver)
                assert "which is not public: not called" in str(result.problem), address
        assert post(Caller(Names(), tls), receiver).problem is not None
        assert seen.addresses == []
        assert receiver.received == []


def test_no_notation_of_a_host_leads_to_this_machine() -> None:
    """With the resolver of the system, which reads all of them."""
    with receiving(tls=False) as receiver, watching_connections() as seen:
        caller = Caller(SystemResolver(), ssl.create_default_context())
        hosts = ["127.0.0.1", "localhost", "LocalHost.", "[::1]", "0.0.0.0", "0", "[::]", "127.1", "0x7f.1"]  # noqa: S104
        hosts += [
            *notations("127.0.0.1"),
            *(f"[{each}]" for each in embedding("127.0.0.1")),
            "a@127.0.0.1",
            "①②⑦.0.0.1",
        ]
        hosts += [f"{host}." for host in hosts if "[" not in host]
        for scheme in ("http", "https"):
            for host in hosts:
                assert not caller.post(f"{scheme}://{host}:{receiver.port}/", HEADERS, BODY).succeeded, host
        assert seen.addresses == []
        assert receiver.received == []


def test_even_for_development_only_loopback_is_called_by_http() -> None:
    with receiving(tls=False) as receiver:
        url = f"http://localhost:{receiver.port}/"
        tls = ssl.create_default_context()
        assert Caller(SystemResolver(), tls, loopback=True).post(url, HEADERS, BODY).status == 204
        assert "https" in str(Caller(SystemResolver(), tls).post(url, HEADERS, BODY).problem)
        for address in ("10.0.0.1", PUBLIC[0]):
            assert "not public" in str(Caller(Names(address), tls, loopback=True).post(url, HEADERS, BODY).problem)
        assert len(receiver.received) == 1


@pytest.mark.parametrize("every_s", [0.02, 0.3])
def test_a_receiver_that_sends_byte_by_byte_does_not_hold_a_call(every_s: float) -> None:
    with receiving(tls=True) as receiver:
        receiver.behaviour = drip(every_s)
        began = time.monotonic()
        result = post(caller_of(receiver, call_s=1), receiver)
        assert (result.status, result.problem) == (None, "no complete answer within 1 s")
        assert time.monotonic() - began < 3


def test_a_receiver_that_never_answers_does_not_hold_a_call() -> None:
    with receiving(tls=True) as receiver, silent_listener() as listening:
        url = f"https://{NAME}:{listening.getsockname()[1]}/"
        result = caller_of(receiver, call_s=0.5).post(url, HEADERS, BODY)  # in the middle of the handshake
        assert result.problem == "no complete answer within 0.5 s"
        assert result.duration_s < 3


def test_only_the_beginning_of_an_answer_is_read() -> None:
    with receiving(tls=True) as receiver:
        receiver.behaviour = flood
        result = post(caller_of(receiver), receiver)
        assert result.succeeded
        assert result.excerpt == "x" * MAX_READ_BYTES


def test_an_answer_that_is_cut_off_or_no_text_counts_by_its_status() -> None:
    with receiving(tls=True) as receiver:
        receiver.behaviour = answer(200, b"ab", **{"Content-Length": "100", "Connection": "close"})
        assert post(caller_of(receiver), receiver).status == 200
        receiver.behaviour = answer(500, b"\xff\x00a")
        result = post(caller_of(receiver), receiver)
        assert (result.status, result.problem, result.excerpt) == (500, "it answered 500", "\ufffd\x00a")


def test_every_failure_is_a_result_with_its_reason() -> None:
    def unresolved(host: str, _port: int) -> Sequence[str]:
        raise OSError(f"no such name: {host}")

    with receiving(tls=True) as receiver, receiving(tls=False) as plain:
        caller = caller_of(receiver)
        closed = f"https://{NAME}:{free_port()}/"
        assert "Connection refused" in str(caller.post(closed, HEADERS, BODY).problem)
        assert "TLS failed" in str(caller.post(f"https://{NAME}:{plain.port}/", HEADERS, BODY).problem)
        receiver.behaviour = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        assert "the connection failed" in str(post(caller, receiver).problem)
        receiver.behaviour = lambda handler: handler.connection.close()
        assert not post(caller, receiver).succeeded
        assert "was not resolved: no such name" in str(post(replace(caller, resolve=unresolved), receiver).problem)


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "CONNECT_S", 0.3)
    with receiving(tls=True) as receiver:
        assert post(caller_of(receiver, "127.0.0.2", "::1", "127.0.0.1"), receiver).succeeded


def test_a_name_server_that_is_silent_does_not_hold_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def silent(*_arguments: object, **_options: object) -> list[object]:
        answered.wait(20)
        return []

    monkeypatch.setattr("socket.getaddrinfo", silent)
    with receiving(tls=True) as receiver:
        caller = Caller(SystemResolver(0.2), trusting(receiver))
        result = post(caller, receiver)
        assert result.problem == f"the name {NAME} was not resolved: timed out"
        assert result.duration_s < 5
    answered.set()
