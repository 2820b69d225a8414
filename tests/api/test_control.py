"""Cancel, pause and resume over HTTP: what links offer, what responses say, what is kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.errors import SearchChanged
from store.models import Search
from store.stores import Stores
from tests.api.http_service import CONTENT, WITHOUT_TLS, start
from tests.store import sample_rows as samples


@pytest.fixture
def paused(client: httpx.Client, stores: Stores, tmp_path: Path) -> str:
    """The id of a search that was paused while it ran, and kept its best so far."""
    search_id = start(client)
    lease = samples.claim(stores)
    assert client.post(f"/searches/{search_id}/pause").json()["state"] == "pausing"
    source = tmp_path / "best.safetensors"
    source.write_bytes(CONTENT)
    stored = stores.artifacts.put(f"{search_id}/{lease.fence}/best.safetensors", source)
    stores.updates.checkpoint(lease, samples.architecture(val_top1_pct=88.0), stored)
    stores.claims.gave_back(lease)
    return search_id


def test_a_paused_search_offers_its_best_so_far(client: httpx.Client, paused: str) -> None:
    found = client.get(f"/searches/{paused}").json()
    assert found["state"] == "paused"
    assert found["best"]["val_top1_pct"] == 88.0
    assert client.get(found["links"]["checkpoint"]).content == CONTENT
    assert found["links"].keys() & {"cancel", "pause", "resume"} == {"cancel", "resume"}
    assert found["attempts"][0]["exit_class"] == "paused"


def test_a_pause_says_whether_anything_was_saved(client: httpx.Client, stores: Stores, paused: str) -> None:
    """The best network was kept, but no run state: the search would begin from the start."""
    assert client.get(f"/searches/{paused}").json()["saved_step"] == 0
    assert _paused_event(client, paused)["saved_step"] == 0
    client.post(f"/searches/{paused}/resume")
    lease = samples.claim(stores)
    samples.save(stores, lease, 1)
    client.post(f"/searches/{paused}/pause")
    stores.claims.gave_back(lease)
    assert client.get(f"/searches/{paused}").json()["saved_step"] == 1
    assert _paused_event(client, paused)["saved_step"] == 1


def _paused_event(client: httpx.Client, search_id: str) -> dict[str, Any]:
    events = client.get(f"/searches/{search_id}/events", headers={"Accept": "application/json"}).json()["events"]
    detail: dict[str, Any] = [event["detail"] for event in events if event["kind"] == "paused"][-1]
    return detail


def test_it_continues_when_resumed(client: httpx.Client, stores: Stores, paused: str) -> None:
    answer = client.post(f"/searches/{paused}/resume")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert samples.claim(stores).fence == 2


def test_a_cancelled_search_keeps_what_it_had(client: httpx.Client, paused: str) -> None:
    answer = client.post(f"/searches/{paused}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert client.get(answer.json()["links"]["checkpoint"]).content == CONTENT


@pytest.mark.parametrize("request_name", ["cancel", "pause", "resume"])
def test_a_request_that_comes_too_late_names_the_state(client: httpx.Client, stores: Stores, request_name: str) -> None:
    search_id = start(client)
    stores.claims.finish(samples.claim(stores), samples.result(), samples.FILES)
    answer = client.post(f"/searches/{search_id}/{request_name}")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/state-conflict")
    assert answer.json()["state"] == "succeeded"
    assert f"cannot be {request_name.removesuffix('e').removesuffix('l')}" in answer.json()["detail"]


def test_a_request_based_on_an_older_version_is_refused(client: httpx.Client) -> None:
    search_id = start(client)
    before = client.get(f"/searches/{search_id}").headers["ETag"]
    assert client.post(f"/searches/{search_id}/pause", headers={"If-Match": before}).status_code == 202
    assert client.post(f"/searches/{search_id}/resume", headers={"If-Match": before}).status_code == 412


@pytest.mark.long
@pytest.mark.usefixtures("database_url")
def test_of_many_requests_based_on_one_version_one_is_done(client: httpx.Client) -> None:
    """Eight at once pause or cancel what they all have seen; the others learn that it has changed. Five times."""
    for seed in range(5):
        search_id = start(client, seed=seed)
        tag = client.get(f"/searches/{search_id}").headers["ETag"]
        together = threading.Barrier(8)

        def ask(number: int, search_id: str = search_id, tag: str = tag, together: threading.Barrier = together) -> int:
            with httpx.Client(base_url=client.base_url, timeout=60, verify=WITHOUT_TLS) as own:
                path = f"/searches/{search_id}/{'pause' if number % 2 else 'cancel'}"
                together.wait(30)
                return own.post(path, headers={"If-Match": tag}).status_code

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(ask, range(8))) == [202] + [412] * 7


@pytest.mark.parametrize("request_name", ["cancel", "pause", "delete"])
def test_a_change_between_reading_and_writing_is_noticed(
    client: httpx.Client, stores: Stores, request_name: str
) -> None:
    search_id = start(client)
    if request_name == "delete":
        stores.control.cancel(search_id)
    seen = stores.searches.version(search_id).version
    with stores.database.session_scope() as session:
        session.get_one(Search, search_id).saved_step += 1
    act = stores.searches.delete if request_name == "delete" else getattr(stores.control, request_name)
    with pytest.raises(SearchChanged):
        act(search_id, {seen})
    act(search_id, {stores.searches.version(search_id).version})
