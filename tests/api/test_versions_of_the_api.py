"""What clients may count on: paths below /v1, unknown parameters, labels, compression, other sites."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.compression import MIN_BYTES
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import SEARCH, refusal, run_to_success, serving, start

OTHER_SITE = "https://app.example.org"


def test_every_path_is_served_below_v1_too(client: httpx.Client) -> None:
    created = client.post("/v1/searches", json=SEARCH)
    assert created.status_code == 202
    location = created.headers["Location"]
    assert location == f"/v1/searches/{created.json()['id']}"
    below, plain = client.get(location), client.get(created.json()["links"]["self"])
    assert (below.content, below.headers["ETag"]) == (plain.content, plain.headers["ETag"])
    assert client.get("/v1/healthz").status_code == client.get("/healthz").status_code == 200
    refusal(client.get("/v2/searches"), 404, "not-found")
    refusal(client.get("/v1/v1/searches"), 404, "not-found")
    described = client.get("/v1/openapi.json").json()
    assert described == client.get("/openapi.json").json()
    assert not [path for path in described["paths"] if path.startswith("/v1")]
    assert described["servers"] == [{"url": "."}]  # so /v1/openapi.json describes what is below /v1


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("/searches?stat=queued", "stat", "'state'"),
        ("/healthz?x=1", "x", "this path has none"),
        ("/searches?page_size=1&page_size=2", "page_size", "several times"),
        ("/searches/0123456789abcdef/events?since=3", "since", "after"),
    ],
)
def test_parameters_that_a_path_does_not_know_are_refused(
    client: httpx.Client, path: str, name: str, said: str
) -> None:
    problem = refusal(client.get(path), 422, "invalid-request")
    (error,) = problem["errors"]
    assert (error["source"], error["pointer"]) == ("query", name)
    assert said in error["detail"]


def test_searches_are_found_by_their_labels(client: httpx.Client) -> None:
    both = start(client, labels={"team": "x", "project": "Grüße 1:2"})
    one = start(client, labels={"team": "x"})
    other = start(client, labels={"team": "y"})
    assert client.get(f"/searches/{both}").json()["labels"] == {"team": "x", "project": "Grüße 1:2"}

    def found(*labels: str) -> list[str]:
        listed = client.get("/searches", params={"label": list(labels)}).json()["searches"]
        return [search["id"] for search in listed]

    assert found("team:x") == [one, both]
    assert found("team:y") == [other]
    assert found("team:x", "project:Grüße 1:2") == [both]
    assert found("team:z") == found("team:y", "project:Grüße 1:2") == []
    page = client.get("/searches", params={"label": "team:x", "page_size": 1}).json()
    rest = client.get("/searches", params={"label": "team:x", "page_token": page["next_page_token"]}).json()
    assert [search["id"] for search in (*page["searches"], *rest["searches"])] == [one, both]
    refusal(client.get("/searches", params={"page_token": page["next_page_token"]}), 422, "invalid-request")


def test_labels_are_set_and_removed_later_and_others_stay(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client, labels={"team": "x", "project": "y"})
    path = f"/searches/{search_id}"
    before = client.get(path)
    changed = client.patch(path, json={"labels": {"team": "z", "project": None, "stage": "2"}})
    assert (changed.status_code, changed.json()["labels"]) == (200, {"team": "z", "stage": "2"})
    now = client.get(path)
    assert now.json() == changed.json()
    assert now.headers["ETag"] == changed.headers["ETag"] != before.headers["ETag"]

    def found(label: str) -> list[str]:
        return [search["id"] for search in client.get("/searches", params={"label": label}).json()["searches"]]

    assert found("team:z") == found("stage:2") == [search_id]
    assert found("team:x") == found("project:y") == []
    last = client.get(f"{path}/events", headers={"Accept": "application/json"}).json()["events"][-1]
    assert (last["kind"], last["detail"]) == ("labels_changed", {"labels": {"team": "z", "stage": "2"}})
    assert (
        client.get("/searches", params={"label": "team:z"}).json()["searches"][0]["labels"] == changed.json()["labels"]
    )


def test_a_change_that_changes_no_label_leaves_version_and_log_as_they_are(client: httpx.Client) -> None:
    search_id = start(client, labels={"team": "x"})
    before = client.get(f"/searches/{search_id}").headers["ETag"]
    same = client.patch(f"/searches/{search_id}", json={"labels": {"team": "x", "absent": None}})
    assert (same.status_code, same.headers["ETag"]) == (200, before)
    events = client.get(f"/searches/{search_id}/events", headers={"Accept": "application/json"}).json()["events"]
    assert [event["kind"] for event in events] == ["created"]


def test_labels_of_a_search_that_has_ended_change_too_and_go_with_it(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    stores.control.cancel(search_id)
    assert client.patch(f"/searches/{search_id}", json={"labels": {"team": "x"}}).json()["state"] == "cancelled"
    assert client.delete(f"/searches/{search_id}").status_code == 204
    assert client.get("/searches?label=team:x").json()["searches"] == []
    refusal(client.patch(f"/searches/{search_id}", json={"labels": {"team": "x"}}), 404, "not-found")


def test_a_change_of_labels_by_what_was_seen_before_is_refused(client: httpx.Client) -> None:
    path = f"/searches/{start(client)}"
    seen = client.get(path).headers["ETag"]
    asked = {"json": {"labels": {"team": "x"}}, "headers": {"If-Match": seen}}
    first = client.patch(path, **asked)  # type: ignore[arg-type]
    assert first.status_code == 200
    refusal(client.patch(path, **asked), 412, "precondition-failed")  # type: ignore[arg-type]
    again = {"If-Match": first.headers["ETag"]}
    assert client.patch(path, json={"labels": {"team": None}}, headers=again).json()["labels"] == {}


@pytest.mark.parametrize(
    ("labels", "pointer"),
    [
        ({}, "/labels"),
        ({"Team": "x"}, "/labels/Team/[key]"),
        ({"team": ""}, "/labels/team"),
        ({"team": 1}, "/labels/team"),
        ({"team": "a\nb"}, "/labels/team"),
        ({f"k{number}": None for number in range(33)}, "/labels"),
        ({f"k{number}": "v" for number in range(16)}, "/labels"),  # besides the one that it has
    ],
)
def test_a_change_to_labels_that_are_none_is_refused(client: httpx.Client, labels: object, pointer: str) -> None:
    path = f"/searches/{start(client, labels={'team': 'x'})}"
    problem = refusal(client.patch(path, json={"labels": labels}), 422, "invalid-request")
    assert pointer in {error["pointer"] for error in problem["errors"]}, problem
    assert client.get(path).json()["labels"] == {"team": "x"}


def test_nothing_else_of_a_search_can_be_changed(client: httpx.Client) -> None:
    path = f"/searches/{start(client)}"
    for body in ({"state": "succeeded"}, {"labels": {"a": "b"}, "priority": 5}, {}):
        refusal(client.patch(path, json=body), 422, "invalid-request")


def test_repeats_have_the_labels_of_the_first(client: httpx.Client) -> None:
    start(client, repeat=2, labels={"team": "x"})
    assert len(client.get("/searches?label=team:x").json()["searches"]) == 2


@pytest.mark.parametrize(
    "labels",
    [{"Team": "x"}, {"": "x"}, {"team": ""}, {"team": "x" * 65}, {"team": "a\nb"}, {"team": 1}, {"a:b": "x"}, ["team"],
     {f"k{number}": "x" for number in range(17)}],
)  # fmt: skip
def test_labels_have_limits(client: httpx.Client, labels: Any) -> None:
    problem = refusal(client.post("/searches", json=SEARCH | {"labels": labels}), 422, "invalid-request")
    assert all(error["pointer"].startswith("/labels") for error in problem["errors"])


@pytest.mark.parametrize("label", ["team", "Team:x", "team:", ":x"])
def test_a_label_that_no_search_can_have_is_refused(client: httpx.Client, label: str) -> None:
    refusal(client.get("/searches", params={"label": label}), 422, "invalid-request")


def test_labels_are_part_of_what_an_idempotency_key_stands_for(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "a"}
    first = client.post("/searches", json=SEARCH | {"labels": {"team": "x"}}, headers=key)
    again = client.post("/searches", json=SEARCH | {"labels": {"team": "x"}}, headers=key)
    assert first.json()["id"] == again.json()["id"]
    refusal(client.post("/searches", json=SEARCH, headers=key), 422, "idempotency-key-reuse")


def test_large_json_is_compressed_with_a_tag_of_its_own(client: httpx.Client) -> None:
    path = f"/searches/{start(client)}"
    client.post(f"{path}/cancel")
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert len(plain.content) > MIN_BYTES
    assert "Content-Encoding" not in plain.headers
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
    assert packed.content == plain.content
    tags = plain.headers["ETag"], packed.headers["ETag"]
    assert tags[1] == tags[0][:-1] + '+gzip"'
    for tag in tags:
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.headers["ETag"]) == (304, tag)
    head = client.head(path, headers={"Accept-Encoding": "gzip"})
    assert (head.headers["ETag"], head.headers["Content-Length"]) == (tags[1], packed.headers["Content-Length"])
    assert client.delete(path, headers={"If-Match": tags[1]}).status_code == 204


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br, zstd", ""])
def test_a_client_that_does_not_accept_gzip_gets_none(client: httpx.Client, accepted: str) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


def test_streams_files_and_small_responses_are_not_compressed(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(client)
    run_to_success(stores, tmp_path)
    checkpoint = client.get(f"/searches/{search_id}").json()["links"]["checkpoint"]
    for path in (f"/searches/{search_id}/events", checkpoint, "/healthz"):
        assert "Content-Encoding" not in client.get(path, headers={"Accept-Encoding": "gzip"}).headers
    with client.stream("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"}) as answer:
        assert gzip.decompress(b"".join(answer.iter_raw())).startswith(b'{"openapi"')


def test_other_sites_have_no_access_unless_a_setting_names_them(client: httpx.Client, settings: Settings) -> None:
    own = {"Origin": OTHER_SITE, "Sec-Fetch-Site": "cross-site"}
    preflight = own | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert "Access-Control-Allow-Origin" not in client.get("/searches", headers=own).headers
    refusal(client.post("/searches", json=SEARCH, headers=own), 403, "cross-site-request")
    with serving(settings.model_copy(update={"cors_origins": (OTHER_SITE,)})) as shared:
        allowed = shared.options("/searches", headers=preflight)
        assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, OTHER_SITE)
        created = shared.post("/searches", json=SEARCH, headers=own)
        assert (created.status_code, created.headers["Access-Control-Allow-Origin"]) == (202, OTHER_SITE)
        assert "ETag" in created.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in created.headers
        other = own | {"Origin": "https://evil.example.org"}
        refusal(shared.post("/searches", json=SEARCH, headers=other), 403, "cross-site-request")
        assert shared.options("/searches", headers=preflight | other).status_code == 400


def test_origins_are_checked_when_they_are_set() -> None:
    assert Settings(cors_origins="https://A.example.org, http://localhost:3000/").cors_origins == (
        "https://a.example.org",
        "http://localhost:3000",
    )
    for wrong in ("*", "example.org", "https://example.org/path", "null"):
        with pytest.raises(ValueError, match="is no origin"):
            Settings(cors_origins=wrong)
