"""Following a search: every event once and in order, whatever happens to the connection."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonl import ConnectionFailed, Refused, search_operations
from autonl.event_stream import Message, StreamParser
from store.stores import Stores
from tests.api.http_service import finish, run_to_success, start
from tests.autonl.conftest import Caller
from tests.autonl.scripted_service import answer, answering
from tests.reliability.proxy import FaultProxy
from tests.store import sample_rows as samples

STREAM = (
    ": hello\r\nretry: 50\r\n\r\nid: 1\ndata: first\n\n"
    "id: 2\r\ndata:zwei, ü\r\ndata: lines\r\n\r\ndata: x\rid: 3\r\r: end\n"
)
MESSAGES = [
    Message(retry_ms=50),
    Message("first", "1"),
    Message("zwei, ü\nlines", "2"),
    Message("x", "3"),
]


@given(cuts=st.lists(st.integers(0, len(STREAM.encode()))))
def test_a_stream_is_read_alike_wherever_its_bytes_are_cut(cuts: list[int]) -> None:
    content, marks = STREAM.encode(), [0, *sorted(cuts), len(STREAM.encode())]
    parser = StreamParser()
    blocks = [content[start:end] for start, end in itertools.pairwise(marks)]
    assert [message for block in blocks for message in parser.feed(block)] == MESSAGES


def test_an_event_without_its_end_is_not_shown() -> None:
    parser = StreamParser()
    assert list(parser.feed(b"data: half\n")) == []
    assert list(parser.feed(b"\n")) == [Message("half")]


def test_all_events_of_a_search_are_shown_until_its_last(
    caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    finishing = threading.Timer(0.5, run_to_success, (stores, tmp_path))
    finishing.start()
    shown = caller.collect(str(service.base_url), search_operations.events(search_id))
    finishing.join()
    assert [event.kind for event in shown] == samples.kinds(stores, search_id)
    assert [event.seq for event in shown] == list(range(1, len(shown) + 1))
    assert shown[-1].kind == "succeeded"
    assert shown[0].detail["flops_budget"] == 400_000
    later = caller.collect(str(service.base_url), search_operations.events(search_id, after=2))
    assert later == shown[2:]


@pytest.mark.usefixtures("short_waits")
def test_a_stream_that_is_cut_goes_on_after_the_last_event(
    caller: Caller, service: httpx.Client, proxy: FaultProxy, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    lease = samples.claim(stores)
    for step in range(1, 8):
        samples.save(stores, lease, step)
    finish(stores, lease, tmp_path)
    proxy.allow(700)  # the first response ends in the middle of an event
    shown = caller.collect(f"http://127.0.0.1:{proxy.port}", search_operations.events(search_id))
    assert proxy.reached.is_set()
    assert [event.seq for event in shown] == list(range(1, len(shown) + 1))
    assert [event.kind for event in shown] == samples.kinds(stores, search_id)


@pytest.mark.usefixtures("short_waits")
def test_where_it_goes_on_is_said_to_the_service(caller: Caller) -> None:
    event = '{"seq": 5, "kind": "phase", "at": "2026-01-31T12:00:00Z", "attempt": 1, "detail": {}}'
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 10\n\n"
    stream = f"{head}id: 5\ndata: {event}\n\nid: 6\ndata: {{".encode()
    busy = answer("503 Unavailable", {"title": "down", "detail": "the database"})
    with answering(stream, busy, b"", answer("204 No Content")) as (url, requests):
        shown = caller.collect(url, search_operations.events("x", after=4))
    assert [one.seq for one in shown] == [5]
    sent = [request.lower().partition("last-event-id: ")[2].partition("\r\n")[0] for request in requests]
    assert sent == ["4", "5", "5", "5"]


@pytest.mark.usefixtures("short_waits")
def test_an_unknown_search_and_a_service_that_stays_away_are_errors(
    caller: Caller, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="no search") as refused:
        caller.collect(str(service.base_url), search_operations.events("0123456789abcdef"))
    assert refused.value.status == 404
    monkeypatch.setattr("autonl.event_stream._MAX_FAILURES", 2)
    monkeypatch.setattr("autonl.event_stream._RECONNECT_S", 0.01)
    with answering(b"", b"") as (url, _), pytest.raises(ConnectionFailed):
        caller.collect(url, search_operations.events("x"))
