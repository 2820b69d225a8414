"""A request with an idempotency key is answered once: whatever happens later, repeating it gives the first answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from autonl_core.spec.config import SearchConfig
from store.answers import KEPT_S, Answer, FirstAnswer
from store.models import Search
from store.stores import Stores
from tests.api.http_service import SEARCH

KEY = {"Idempotency-Key": "once"}


def post(client: httpx.Client, path: str = "/searches", **body: Any) -> httpx.Response:
    return client.post(path, json=SEARCH | body, headers=KEY)


def age(stores: Stores, seconds: float) -> None:
    """As if everything had happened that long ago."""
    with stores.database.session_scope() as session:
        for column in (FirstAnswer.answered_at, Search.created_at):
            for row in session.query(column.class_):
                moment = getattr(row, column.key) - timedelta(seconds=seconds)
                setattr(row, column.key, moment)


def test_the_first_answer_is_repeated_whatever_became_of_the_search(client: httpx.Client) -> None:
    first = post(client)
    path = first.headers["Location"]
    client.post(f"{path}/cancel")
    assert client.get(path).json()["state"] == "cancelled"
    again = post(client)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.json()["state"] == "queued"
    for name in ("Location", "ETag", "Retry-After", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")


def test_after_a_delete_no_second_search_is_made(client: httpx.Client) -> None:
    first = post(client)
    path = first.headers["Location"]
    client.post(f"{path}/cancel")
    assert client.delete(path).status_code == 204
    assert post(client).content == first.content
    assert client.get("/searches").json()["searches"] == []


def test_the_request_is_compared_as_it_was_sent(client: httpx.Client) -> None:
    """Not as it is understood: what is written out is another request, even where it says what goes without saying."""
    first = post(client)
    spaced = json.dumps(dict(reversed(SEARCH.items())), indent=4)
    as_json = KEY | {"Content-Type": "application/json"}
    assert len(SEARCH) > 1
    assert client.post("/searches", content=spaced, headers=as_json).content == first.content
    assert SearchConfig(**SEARCH) == SearchConfig(**SEARCH, seed=0)
    assert post(client, seed=0).json()["type"] == "/problems/idempotency-key-reuse"


def test_it_is_looked_up_before_the_request_is_looked_at(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = post(client)
    monkeypatch.setattr("api.routes.searches.validate_search", lambda *_: pytest.fail("the rules may have changed"))
    assert post(client).content == first.content


def test_a_refused_request_may_be_corrected_under_its_key(client: httpx.Client) -> None:
    assert post(client, flops_budget=1).status_code == 422
    assert client.post("/searches?validate_only=true", json=SEARCH, headers=KEY).status_code == 200
    assert post(client).status_code == 202


def test_a_key_belongs_to_one_route(client: httpx.Client) -> None:
    path = post(client).headers["Location"]
    assert client.post(f"{path}/cancel", headers=KEY).json()["state"] == "cancelled"
    client.post(f"{path}/resume")
    assert client.post(f"{path}/cancel", headers=KEY).json()["state"] == "cancelled"  # what was answered
    assert client.get(path).json()["state"] == "queued"


def test_a_key_is_free_again_after_a_day(client: httpx.Client, stores: Stores) -> None:
    first = post(client).json()["id"]
    age(stores, KEPT_S - 60)
    assert post(client).json()["id"] == first
    age(stores, 120)
    second = post(client, seed=3)
    assert (second.status_code, second.json()["id"] != first) == (202, True)
    assert post(client, seed=3).json()["id"] == second.json()["id"]


def test_the_sweeper_deletes_what_has_expired(client: httpx.Client, stores: Stores) -> None:
    post(client)
    assert stores.answers.delete_old() == 0
    age(stores, KEPT_S + 1)
    assert (stores.answers.delete_old(), stores.answers.delete_old()) == (1, 0)


def test_of_two_answers_the_first_one_counts(stores: Stores) -> None:
    one, other = Answer(202, {"etag": '"1"'}, "{}"), Answer(202, {"etag": '"2"'}, '{"a": 1}')
    assert stores.answers.keep("POST /searches", "k", "f", one) == one
    assert stores.answers.keep("POST /searches", "k", "f", other) == one
