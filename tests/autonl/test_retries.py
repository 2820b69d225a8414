"""When a request is sent again: only if that is harmless and may help, and not before the service wants it."""

from __future__ import annotations

import re
import time
from email.utils import formatdate

import pytest

from autonl import ConnectionFailed, Refused, documents, retries, search_operations
from autonl.retries import retry_after_s, with_retries
from autonl.steps import Call, Done, Pause, Reply, Request, Send, advance, send
from tests.autonl.conftest import Caller
from tests.autonl.scripted_service import answer, answering
from tests.servers import free_port

UNAVAILABLE = {"type": "/problems/unavailable", "title": "Service temporarily unavailable", "detail": "the database"}


@pytest.mark.usefixtures("short_waits")
def test_a_temporary_refusal_is_waited_for_and_a_post_is_repeated_with_the_same_key(caller: Caller) -> None:
    busy = [answer("503 Unavailable", UNAVAILABLE), answer("429 Too Many", UNAVAILABLE), b"", b""]
    with answering(*busy, answer("202 Accepted", {"id": "a1"})) as (url, requests):
        assert caller.run(url, documents.start_search({"dataset": "digits"}))["id"] == "a1"
    keys = {re.search(r"(?i)idempotency-key: (\w{32})\r\n", request)[1] for request in requests}  # type: ignore[index]
    assert (len(requests), len(keys)) == (5, 1)
    assert len({request.partition("\r\n\r\n")[2] for request in requests}) == 1  # the same body each time


@pytest.mark.usefixtures("short_waits")
def test_what_was_asked_wrongly_is_not_repeated(caller: Caller) -> None:
    problem = {
        "type": "/problems/budget-infeasible",
        "title": "No network fits",
        "detail": "1 problem",
        "errors": [{"source": "body", "pointer": "/flops_budget", "code": "low", "detail": "is too small"}],
        "feasible_range": {"min_macs": 10, "max_macs": 20},
    }
    with answering(answer("422 Unprocessable", problem)) as (url, requests), pytest.raises(Refused) as refused:
        caller.run(url, search_operations.start_search("digits", 1))
    error = refused.value
    assert (len(requests), error.status, error.type) == (1, 422, "budget-infeasible")
    assert [(one.pointer, one.detail) for one in error.errors] == [("/flops_budget", "is too small")]
    assert error.problem["feasible_range"]["max_macs"] == 20
    assert str(error) == "No network fits (422)\n  flops_budget: is too small"


@pytest.mark.usefixtures("short_waits")
def test_the_last_refusal_is_raised_once_all_retries_are_used(caller: Caller) -> None:
    refusals = [answer("503 Unavailable", UNAVAILABLE)] * 3
    with answering(*refusals) as (url, requests), pytest.raises(Refused, match="the database"):
        caller.run(url, documents.search("x"), retries=2)
    assert len(requests) == 3
    with pytest.raises(ConnectionFailed, match="ConnectError"):
        caller.run(f"http://127.0.0.1:{free_port()}", documents.search("x"), retries=2)


@pytest.mark.usefixtures("short_waits")
def test_a_deleted_search_that_is_deleted_again_by_a_retry_is_no_error(caller: Caller) -> None:
    missing = answer("404 Not Found", {"type": "/problems/not-found", "title": "Not found", "detail": "no search"})
    with answering(b"", missing) as (url, _):
        caller.run(url, documents.delete_search("x"))
    with answering(missing) as (url, _), pytest.raises(Refused, match="no search"):
        caller.run(url, documents.delete_search("x"))


def paused_s(call: Call[Reply], *replies: Reply, number: int = 4) -> list[float]:
    """How long a call waits between these replies, without waiting."""
    waits: list[float] = []
    remaining = list(replies)
    steps = with_retries(call, number)
    step = advance(steps)
    while not isinstance(step, Done):
        if isinstance(step, Pause):
            waits.append(step.seconds)
            step = advance(steps)
        else:
            assert isinstance(step, Send)
            step = advance(steps, remaining.pop(0))
    assert not remaining
    return waits


def busy(**headers: str) -> Reply:
    return Reply("http://a", 503, {name.replace("_", "-"): value for name, value in headers.items()})


OK = Reply("http://a", 200, {})


def test_waits_double_and_are_at_least_what_the_service_asks_for() -> None:
    get = Request("GET", "/")
    first, second, third = paused_s(send(get), busy(), busy(), busy(), OK)
    assert 0.375 <= first <= 0.625
    assert 0.75 <= second <= 1.25
    assert 1.5 <= third <= 2.5
    assert paused_s(send(get), busy(retry_after="7"), OK) == [7.0]
    (dated,) = paused_s(send(get), busy(retry_after=formatdate(time.time() + 30, usegmt=True)), OK)
    assert 27 < dated <= 30
    assert paused_s(send(get), busy(retry_after="61")) == []  # longer than anyone waits: the caller decides
    assert paused_s(send(Request("POST", "/")), busy()) == []  # without a key
    assert paused_s(send(get), busy(), number=0) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("soon", None), ("0", 0.0), ("12", 12.0), ("-3", None), ("Mon, 1 Jan", None)]
)
def test_a_retry_after_that_says_nothing_is_none(text: str, seconds: float | None) -> None:
    assert retry_after_s(busy(retry_after=text)) == seconds


def test_waiting_patiently_ends_with_the_last_error(monkeypatch: pytest.MonkeyPatch, caller: Caller) -> None:
    monkeypatch.setattr(retries, "_PATIENT_WAIT_S", 0.01)
    down = [answer("500 Oops", UNAVAILABLE), answer("502 Bad Gateway")]
    with answering(*down, answer("200 OK", {"id": "a1"})) as (url, _):
        found = caller.run(url, retries.patiently(lambda: documents.search("a1"), 20), retries=0)
        assert found == {"id": "a1"}
    with answering(answer("404 Not Found", UNAVAILABLE)) as (url, _), pytest.raises(Refused):
        caller.run(url, retries.patiently(lambda: documents.search("a1"), 20))
