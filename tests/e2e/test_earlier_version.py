"""A data folder of version 0.1.0 (before the packages of the core): what it holds is shown, downloaded and resumed.

`tests/data/data-folder-0.1.0.zip` was written by that version: SQLite, artifacts and run states of three searches on
the built-in digits, of which one succeeded, one was paused while its supernet trained, and one while the chosen network
trained.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from autonl_core.spec.event_kinds import EventKind
from store.migrate import upgrade
from store.settings import Settings
from store.states import SearchState
from store.stores import Stores, open_stores
from tests.api.http_service import serving
from worker.supervisor import Supervisor

FOLDER = Path(__file__).parents[1] / "data" / "data-folder-0.1.0.zip"
SUCCEEDED, PAUSED_SEARCHING, PAUSED_TRAINING = "5af913c60cf0c365", "ed6ebf446af1035b", "36863d3c826270b6"
WEIGHTS_SHA256 = "ae259483978f79ce00cea4b030d4bdc07f818724e0d594cb1efd99beea2c7ec7"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with zipfile.ZipFile(FOLDER) as archive:
        archive.extractall(tmp_path)
    settings = Settings(data_dir=tmp_path, threads=1, broker_url="redis://127.0.0.1:1/0")  # no broker is needed
    upgrade(settings.resolved_database_url)
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as opened:
        yield opened


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with contextlib.closing(open_stores(settings)) as opened:
        yield opened


def test_all_searches_are_listed(client: httpx.Client) -> None:
    listed = {search["id"]: search["state"] for search in client.get("/searches").json()["searches"]}
    assert listed == {SUCCEEDED: "succeeded", PAUSED_SEARCHING: "paused", PAUSED_TRAINING: "paused"}


def test_a_finished_search_shows_its_result_and_its_log(client: httpx.Client) -> None:
    search = client.get(f"/searches/{SUCCEEDED}").json()
    result = search["result"]
    assert result["weights_sha256"] == WEIGHTS_SHA256
    assert result["architecture"]["macs"] == result["certificate"]["achieved_macs"] <= result["flops_budget"] == 300_000
    assert result["parity"]["safetensors"]["correct"] == result["test_correct"]
    events = client.get(f"/searches/{SUCCEEDED}/events", headers={"Accept": "application/json"}).json()
    kinds = [event["kind"] for event in events["events"]]
    assert (kinds[0], kinds[-1]) == (EventKind.CREATED, EventKind.SUCCEEDED)
    assert set(kinds) <= set(EventKind)
    assert client.get(f"/searches/{SUCCEEDED}/metrics").json()["points"]


def test_a_finished_search_downloads(client: httpx.Client) -> None:
    result = client.get(f"/searches/{SUCCEEDED}").json()["result"]
    checkpoint = f"/architectures/{result['architecture']['arch_id']}/checkpoint"
    for kind in ("safetensors", "bundle"):
        content = client.get(checkpoint, params={"format": kind, "search_id": SUCCEEDED}).content
        assert hashlib.sha256(content).hexdigest() == result["files"][kind]["sha256"]
    for kind in ("html", "markdown"):
        assert client.get(f"/searches/{SUCCEEDED}/report", params={"format": kind}).is_success


@pytest.mark.long
@pytest.mark.timeout(300)  # half a minute on a free core: real searches
@pytest.mark.parametrize(("search_id", "phase"), [(PAUSED_SEARCHING, "searching"), (PAUSED_TRAINING, "training")])
def test_a_paused_search_is_resumed_where_it_was_and_succeeds(
    client: httpx.Client, stores: Stores, search_id: str, phase: str
) -> None:
    assert client.get(f"/searches/{search_id}").json()["best"] is not None
    assert client.post(f"/searches/{search_id}/resume").json()["state"] == "queued"
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    search = client.get(f"/searches/{search_id}").json()
    assert search["state"] == SearchState.SUCCEEDED, stores.searches.attempts(search_id)[-1].log_tail
    assert search["result"]["architecture"]["macs"] <= 300_000
    assert search["result"]["exact"] is False  # other code may compute something else, and the result says so
    events = {event.kind: event.detail for event in stores.events.after(search_id)}
    assert events[EventKind.RESUMED]["phase"] == phase
    assert events[EventKind.RESUMED]["fraction"] > 0
    assert EventKind.CHECKPOINT_CORRUPT not in events
