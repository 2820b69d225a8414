"""The API and its page behind proxies: one that serves them below a prefix, one that compresses, one with HTTP/1.0."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from api.page import STATIC
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import CONTENT, SEARCH, run_to_success, serving, start
from tests.api.reverse_proxy import proxied
from tests.api.test_uploads import archive

PROXIES: dict[str, dict[str, Any]] = {
    "none": {},
    "prefix": {"prefix": "/nets"},
    "compressing": {"compresses": True},
    "http-1.0": {"version": 10},
    "deep-prefix": {"prefix": "/team/nets", "compresses": True, "version": 10},
}

get = functools.partial(httpx.get, timeout=60)  # busy machines are slow, and slowness is not what is tested


@pytest.fixture(params=PROXIES)
def outside(client: httpx.Client, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of the service through a proxy."""
    options = PROXIES[request.param]
    if not options:
        yield client
        return
    with proxied(client, **options) as through:
        yield through


def url_of(client: httpx.Client, path: str) -> str:
    return f"{str(client.base_url).rstrip('/')}/{path}"


def test_a_location_leads_to_what_was_created(outside: httpx.Client) -> None:
    for answer in (
        outside.post("/searches", json=SEARCH),
        outside.post("/datasets?name=shapes", content=archive()),
        outside.post("/weights?name=mine", content=b"weights"),
    ):
        created = get(urljoin(str(answer.request.url), answer.headers["Location"]))
        assert created.status_code == 200, answer.headers["Location"]
        key = "id" if "id" in answer.json() else "name"
        assert created.json()[key] == answer.json()[key]


def test_a_slash_too_many_is_corrected(outside: httpx.Client) -> None:
    answer = get(url_of(outside, "searches/"), follow_redirects=True)
    assert (answer.status_code, "searches" in answer.json()) == (200, True)


def test_links_are_paths_below_the_url_of_the_service(outside: httpx.Client) -> None:
    search = outside.post("/searches", json=SEARCH).json()
    for name, link in search["links"].items():
        if name not in ("cancel", "pause"):
            headers = {"Accept": "application/json"}
            assert outside.get(link, headers=headers).status_code == 200, link
    assert outside.post(search["links"]["cancel"]).json()["state"] == "cancelled"


def test_an_entity_tag_identifies_the_version_however_it_was_transferred(outside: httpx.Client) -> None:
    path = f"/searches/{start(outside)}"
    tag = outside.get(path).headers["ETag"]
    assert outside.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert outside.post(f"{path}/cancel", headers={"If-Match": tag}).status_code == 202
    assert outside.delete(path, headers={"If-Match": tag}).status_code == 412


def test_an_interrupted_download_is_continued(outside: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(outside)
    run_to_success(stores, tmp_path)
    link = outside.get(f"/searches/{search_id}").json()["links"]["checkpoint"]
    whole = outside.get(link)
    assert whole.content == CONTENT
    assert "no-transform" in whole.headers["Cache-Control"]  # a proxy that obeys it keeps the tag and the length
    # If-Range needs a strong tag: with a weak one, RFC 9110 has the whole file sent again.
    part = outside.get(link, headers={"Range": "bytes=1000-", "If-Range": whole.headers["ETag"]})
    assert part.content == (CONTENT[1000:] if part.status_code == 206 else CONTENT)
    plain = outside.head(link, headers={"Accept-Encoding": "identity"})
    assert plain.headers["Content-Length"] == str(len(CONTENT))
    strong = {"Range": "bytes=1000-", "If-Range": plain.headers["ETag"], "Accept-Encoding": "identity"}
    continued = outside.get(link, headers=strong)
    assert (continued.status_code, continued.content) == (206, CONTENT[1000:])


def test_events_are_streamed_to_their_end(outside: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(outside)
    run_to_success(stores, tmp_path)
    stream = outside.get(f"/searches/{search_id}/events", headers={"Accept": "text/event-stream"})
    assert "no-transform" in stream.headers["Cache-Control"]
    assert stream.text.startswith("retry: ")
    assert [int(number) for number in re.findall(r"^id: (\d+)$", stream.text, re.MULTILINE)] == [1, 2, 3]


@pytest.mark.parametrize("document", ["", "docs"])
def test_what_a_page_loads_is_found_from_where_it_is(outside: httpx.Client, document: str) -> None:
    url = url_of(outside, document)
    links = re.findall(r'(?:src|href)="([^"#]+)"', get(url).text)
    assert links
    for link in links:
        assert not link.startswith("/")
        assert get(urljoin(url, link)).status_code == 200, link


def test_the_description_names_the_service_relative_to_itself(outside: httpx.Client) -> None:
    answer = outside.get("/openapi.json")
    (server,) = answer.json()["servers"]
    assert get(urljoin(str(answer.url), server["url"]) + "healthz").status_code == 200


def test_no_script_calls_a_path_from_the_root_of_the_host() -> None:
    for script in STATIC.glob("js/*.js"):
        before = re.findall(r"""(.{0,8})["'`]/[a-z]""", script.read_text())
        assert all(text.endswith(("call(", "address(")) for text in before), f"{script.name}: {before}"


def test_a_prefix_that_a_proxy_leaves_in_the_path_is_a_setting(settings: Settings) -> None:
    with (
        serving(settings.model_copy(update={"root_path": "/nets"})) as service,
        proxied(service, prefix="/nets", removes_prefix=False) as outside,
    ):
        answer = outside.post("/searches", json=SEARCH)
        assert answer.status_code == 202
        assert get(urljoin(str(answer.request.url), answer.headers["Location"])).status_code == 200
        assert outside.get("/static/js/main.js").status_code == 200
        assert service.get("/searches").status_code == 200  # a health check that comes without it
