"""Server-sent events: everything that happened, in order, from where the client stopped reading, to the end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import delete

from store.models import Search
from store.stores import Stores
from tests.api.http_service import run_to_success, start
from tests.servers import wait_for
from tests.store import sample_rows as samples


def read_stream(client: httpx.Client, path: str, **headers: str) -> tuple[str, list[dict[str, Any]]]:
    """Read a stream to its end; its first line and its events, each with a matching id line."""
    with client.stream("GET", path, headers={"Accept": "text/event-stream"} | headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [line for line in lines if line.startswith("id: ")] == [f"id: {event['seq']}" for event in events]
    return lines[0], events


def test_a_finished_search_is_replayed_and_the_stream_ends(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    path = f"/searches/{start(client)}/events"
    run_to_success(stores, tmp_path)
    retry, events = read_stream(client, path)
    assert retry == "retry: 2000"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("created", "succeeded")


def test_a_client_continues_where_it_was_cut_off(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    path = f"/searches/{start(client)}/events"
    run_to_success(stores, tmp_path)
    everything = read_stream(client, path)[1]
    assert read_stream(client, path, **{"Last-Event-ID": "1"})[1] == everything[1:]
    assert read_stream(client, f"{path}?after=2")[1] == everything[2:]
    # a browser adds the header when it reconnects; the URL still says where it once began
    assert read_stream(client, f"{path}?after=0", **{"Last-Event-ID": "1"})[1] == everything[1:]


def test_a_client_that_has_the_last_event_is_told_not_to_reconnect(client: httpx.Client) -> None:
    path = f"/searches/{start(client)}"
    client.post(f"{path}/cancel")
    last = read_stream(client, f"{path}/events")[1][-1]
    assert last["kind"] == "cancelled"
    done = client.get(f"{path}/events", headers={"Last-Event-ID": str(last["seq"])})
    assert (done.status_code, done.content) == (204, b"")


def test_events_arrive_while_the_search_runs(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    path = f"/searches/{start(client)}/events"
    heard: list[str] = []

    def listen() -> None:
        with client.stream("GET", path) as answer:
            heard.extend(json.loads(line[6:])["kind"] for line in answer.iter_lines() if line.startswith("data: "))
        heard.append("END")

    listener = threading.Thread(target=listen)
    listener.start()
    wait_for(lambda: "created" in heard, "the first event arrives")
    lease = samples.claim(stores)
    wait_for(lambda: "claimed" in heard, "the claim arrives")
    stores.claims.fail(lease, "DatasetError", "too few images")
    listener.join(20)
    assert heard[-2:] == ["failed", "END"]


def test_a_deleted_search_ends_its_streams(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    with client.stream("GET", f"/searches/{search_id}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        with stores.database.session_scope() as session:  # not cancelled before: the stream might read that, and end
            session.execute(delete(Search).where(Search.id == search_id))
        rest = [line for line in lines if line.startswith("data: ")]
    assert [json.loads(line[6:])["kind"] for line in rest] in ([], ["created"])
