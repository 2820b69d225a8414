"""Repeats over HTTP: one request, searches with seeds one after the other, and what their results agree on."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import httpx
import pytest

from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import SEARCH, refusal
from tests.store.sample_rows import FILES, result


def test_one_request_starts_them_all_and_each_shows_how_the_results_spread(
    client: httpx.Client, settings: Settings
) -> None:
    first = client.post("/searches", json=SEARCH | {"seed": 3, "repeat": 3}).json()
    assert (first["config"]["seed"], first["config"]["repeat_of"]) == (3, None)
    queued = client.get(first["links"]["repeats"]).json()
    assert [(one["seed"], one["state"], one["test_top1_pct"]) for one in queued["searches"]] == [
        (3, "queued", None),
        (4, "queued", None),
        (5, "queued", None),
    ]
    assert (queued["test_top1_pct"], queued["resolutions"], queued["options"]) == (None, {}, [])
    with contextlib.closing(open_stores(settings)) as stores:
        for top1_pct in (97.0, 99.0):
            lease = stores.claims.claim("worker")
            assert lease is not None
            found = result()
            scored = replace(found, architecture=replace(found.architecture, test_top1_pct=top1_pct))
            stores.claims.finish(lease, scored, FILES if top1_pct == 97.0 else {})
    third = queued["searches"][2]["search_id"]
    shown = client.get(f"/searches/{third}/repeats").json()
    assert shown == client.get(first["links"]["repeats"]).json()
    assert [one["test_top1_pct"] for one in shown["searches"]] == [97.0, 99.0, None]
    spread = shown["test_top1_pct"]
    assert (spread["count"], spread["mean"], spread["lowest"], spread["highest"]) == (2, 98.0, 97.0, 99.0)
    assert spread["interval"] == pytest.approx(
        [98 - 12.7062, 100]
    )  # t * s / sqrt(n), s = sqrt(2), n = 2; above 100 there is nothing
    assert sum(won["count"] for won in shown["options"] if (won["stage"], won["block"]) == (1, 1)) == 2
    assert list(shown["resolutions"].values()) == [2]


def test_only_the_service_says_what_a_search_repeats(client: httpx.Client) -> None:
    refusal(client.post("/searches", json=SEARCH | {"repeat_of": "0" * 16}), 422, "invalid-request")
    refusal(client.post("/searches", json=SEARCH | {"repeat": 17}), 422, "invalid-request")


def test_there_are_none_of_a_search_that_does_not_exist(client: httpx.Client) -> None:
    refusal(client.get("/searches/0000000000000000/repeats"), 404, "not-found")
