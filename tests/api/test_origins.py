"""Pages of other sites can change nothing, and no site can point its own name at a service on someone's machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from store.settings import Settings
from tests.api.http_service import SEARCH, refusal, serving, start

FOREIGN: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.org"},  # another host of the same owner
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},  # a frame without an origin, or a file
    {"Origin": "https://elsewhere.example"},  # over a connection that is not encrypted
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},  # another service on this machine
)
OWN: tuple[dict[str, str], ...] = (
    {},  # no browser
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://nets.example"},  # behind a proxy that replaces Host
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://nets.example", "X-Forwarded-Host": "nets.example, inner"},
)


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_changes_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    search_id = start(client)
    writes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", f"/searches/{search_id}/cancel", {}),
        ("POST", "/searches", {"json": SEARCH}),
        ("POST", "/datasets?name=x", {"content": b"PK\x03\x04"}),
        ("POST", "/weights?name=x", {"content": b"x"}),
        ("PUT", "/datasets/x/reading", {"json": {}}),
        ("DELETE", f"/searches/{search_id}", {}),
    )
    for method, path, sent in writes:
        problem = refusal(client.request(method, path, headers=headers, **sent), 403, "cross-site-request")
        assert problem["detail"].startswith(method)
    assert client.get(f"/searches/{search_id}", headers=headers).json()["state"] == "queued"
    assert len(client.get("/searches").json()["searches"]) == 1


@pytest.mark.parametrize("headers", OWN)
def test_programs_and_the_page_itself_are_served(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.post("/searches", json=SEARCH, headers=headers).status_code == 202


def test_the_page_at_the_address_of_the_service_is_its_own(client: httpx.Client) -> None:
    own = str(client.base_url).rstrip("/")
    assert client.post("/searches", json=SEARCH, headers={"Origin": own}).status_code == 202


@pytest.fixture
def known(settings: Settings) -> Iterator[httpx.Client]:
    """A service that is known by two names."""
    with serving(settings.model_copy(update={"allowed_hosts": ("localhost", "nets.example")})) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "nets.example", "nets.example:443", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3"],
)
def test_names_that_are_listed_and_all_addresses_are_served(known: httpx.Client, host: str) -> None:
    assert known.get("/searches", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "nets.example.", "[::1", "a" * 1000]
)
def test_another_name_is_refused_with_the_setting_that_lists_them(known: httpx.Client, host: str) -> None:
    problem = refusal(known.get("/searches", headers={"Host": host}), 421, "unknown-host")
    assert "AUTONL_ALLOWED_HOSTS" in problem["detail"]
    assert len(problem["detail"]) < 400


def test_without_a_list_every_name_is_served(client: httpx.Client) -> None:
    assert client.get("/searches", headers={"Host": "any.example"}).status_code == 200


def test_json_without_a_media_type_is_refused(client: httpx.Client, settings: Settings) -> None:
    """Browsers let a page of another site send it without asking; a program can as well say what it sends."""
    body = f'{{"name": "x", "path": "{settings.dataset_roots[0]}"}}'.encode()
    refusal(client.post("/datasets", content=body), 400, "malformed-request")


def test_the_data_of_the_service_is_no_dataset(settings: Settings) -> None:
    """Not below its folder, and not in a folder around it, whatever may be registered otherwise."""
    inside = settings.data_dir / "searches" / "pets"
    inside.mkdir(parents=True)
    everything = settings.model_copy(update={"dataset_roots": (settings.data_dir.parents[-1],)})
    with serving(everything) as client:
        for path in (settings.data_dir, inside, settings.data_dir.parent, settings.data_dir.parents[-1]):
            answer = client.post("/datasets", json={"name": "x", "path": str(path)})
            problem = refusal(answer, 422, "invalid-request")
            assert "holds the data of the service itself" in problem["detail"]
