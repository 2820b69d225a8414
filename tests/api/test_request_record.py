"""The access log, the audit log and the metrics of requests: what they have, and what they never have."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import Request

from api.app import create_app
from api.caller import caller_ids
from store.settings import Settings
from tests.api.http_service import SEARCH, serving, start
from tests.servers import wait_for

SECRET = "aut_k1_s3cret"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "autonl.access"), caplog.at_level(logging.INFO, "autonl.audit"):
        yield caplog


def of(lines: pytest.LogCaptureFixture, name: str, count: int) -> list[logging.LogRecord]:
    """The lines of a logger, once there are as many: a line is written after its response."""
    found: list[logging.LogRecord] = []

    def all_there() -> bool:
        found[:] = [line for line in lines.records if line.name == name]
        return len(found) >= count

    wait_for(all_there, f"{count} lines of {name}")
    return found


def test_an_access_line_has_the_route_and_no_value_of_the_client(
    client: httpx.Client, lines: pytest.LogCaptureFixture
) -> None:
    secrets = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "X-Request-ID": "mine-1"}
    answer = client.get("/searches/0123?token=hunter2", headers=secrets)
    (line,) = of(lines, "autonl.access", 1)
    assert line.getMessage().startswith("GET /searches/{search_id} 401 ")  # the key is of no one
    assert line.getMessage().endswith("request_id=mine-1 tenant_id=- key_id=-")
    fields = {name: line.__dict__[name] for name in ("method", "route", "status", "bytes")}
    expected = {"method": "GET", "route": "/searches/{search_id}", "status": 401, "bytes": len(answer.content)}
    assert fields == expected
    assert 0 < line.__dict__["duration_ms"] < 20_000
    assert not re.search("hunter2|s3cret|0123", line.getMessage() + str(fields))
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == "mine-1"


@pytest.mark.parametrize("given", ["two words", "x" * 65, "line\tfeed", ""])
def test_a_malformed_request_id_is_replaced(client: httpx.Client, given: str) -> None:
    made = client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{16}", made)


def test_every_write_is_audited_with_its_target_and_outcome_and_no_read_is(
    client: httpx.Client, lines: pytest.LogCaptureFixture
) -> None:
    search_id = start(client)
    client.get(f"/searches/{search_id}")
    client.post(f"/searches/{search_id}/cancel")
    client.delete(f"/searches/{search_id}")
    client.delete(f"/searches/{search_id}")
    client.post("/searches", json=SEARCH | {"flops_budget": -1})
    client.delete("/datasets/no%0Anewline")
    shown = [line.getMessage().partition(" request_id=")[0] for line in of(lines, "autonl.audit", 6)]
    assert shown == [
        f"start_search {search_id} done 202",
        f"cancel_search {search_id} done 202",
        f"delete_search {search_id} done 204",
        f"delete_search {search_id} refused 404",
        "start_search - refused 422",
        "delete_dataset no%0Anewline refused 404",
    ]


def test_lines_name_the_caller_that_authentication_found(
    settings: Settings, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings)

    @app.get("/as-tenant")
    def respond(request: Request) -> dict[str, str]:
        request.state.tenant_id, request.state.key_id = "acme", "k1"
        return caller_ids(request.scope)

    monkeypatch.setattr("tests.api.http_service.create_app", lambda _: app)
    with contextlib.ExitStack() as stack:
        answer = stack.enter_context(serving(settings)).get("/as-tenant")
    assert answer.json() == {"tenant_id": "acme", "key_id": "k1"}
    (line,) = of(lines, "autonl.access", 1)
    assert line.getMessage().endswith("tenant_id=acme key_id=k1")


def test_clients_cannot_make_series(client: httpx.Client) -> None:
    def series_after(requests: int) -> set[str]:
        """The series once that many requests to nowhere are counted; the text is up to a second old."""
        for number in range(requests - 20, requests):
            client.get(f"/searches/{number}", params={"q": number}, headers={"X-Request-ID": f"r{number}"})
            client.get(f"/nowhere/{number}")
            client.request(f"INVENTED{number}", "/searches")
        counted = f'route="other",status="404"}} {requests}.0'
        wait_for(lambda: counted in client.get("/metrics").text, "all requests are counted")
        return {line.rpartition(" ")[0] for line in client.get("/metrics").text.splitlines()}

    few, many = series_after(20), series_after(40)
    assert {name for name in many - few if 'route="/metrics"' not in name} == set()
    assert not [name for name in many if re.search(r"INVENTED|nowhere|\br\d", name)]
