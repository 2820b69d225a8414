"""The architecture history over HTTP, from what a search reports while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import count_macs
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.http_service import finish, refusal, start
from tests.autonl_core.small_searches import SHORT_TRAINING, Recorder, search
from tests.store import sample_rows as samples
from tests.store.sample_epochs import SPACE, history, report
from tests.store.test_supernets import keep


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with contextlib.closing(open_stores(settings)) as opened:
        yield opened


def shown(client: httpx.Client, search_id: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/searches/{search_id}/architecture-history").raise_for_status().json()
    return document


def check_macs(client: httpx.Client, found: dict[str, Any]) -> None:
    """Every entry is an architecture that can be read, and its options add up to the MACs shown."""
    for entry in [*found["epochs"], *filter(None, [found["derived"]])]:
        options = [place["options"][at] for place, at in zip(found["positions"], entry["options"], strict=True)]
        assert found["fixed_macs"] + sum(option["macs"] for option in options) == entry["macs"]
        listed = client.get(f"/architectures/{entry['arch_id']}").json()
        assert listed["macs"] == entry["macs"] == count_macs(ArchSpec.from_json(listed["arch"])).total
        kernels = [option["block"]["kernel_size"] for option in options if option["block"] is not None]
        assert kernels == [block["kernel_size"] for block in listed["blocks"]]


def test_grows_with_every_epoch_of_which_an_event_tells(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    assert "has not ended yet" in shown(client, search_id)["note"]
    lease = samples.claim(stores)
    reported = history(1, 2, 3, derived=4)
    for ended in (1, 2, 3):
        report(stores, lease, reported[ended - 1 : ended])
        found = shown(client, search_id)
        assert [entry["epoch"] for entry in found["epochs"]] == [*range(1, ended + 1)]
    report(stores, lease, reported[3:])
    found = shown(client, search_id)
    assert found["derived"]["epoch"] is None
    assert (found["algorithm"], found["note"]) == ("autonl", None)
    assert len(found["positions"]) == len(SPACE.blocks)
    check_macs(client, found)
    events = client.get(f"/searches/{search_id}/events", headers={"Accept": "application/json"}).json()["events"]
    logged = [event["detail"] for event in events if event["kind"] == "architecture"]
    assert [detail.get("epoch") for detail in logged] == [1, 2, 3, None]
    assert [detail["skipped"] for detail in logged] == [list(each.skipped) for each in reported]


def test_is_listed_by_its_search(client: httpx.Client) -> None:
    search_id = start(client)
    link = client.get(f"/searches/{search_id}").json()["links"]["architecture-history"]
    assert client.get(link).json() == shown(client, search_id)


def test_what_earlier_versions_reported_is_no_history(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    lease = samples.claim(stores)
    stores.updates.metrics(lease, "searching", 1, {"loss": 1.0, "gate/0.kernel": 0.5})
    stores.updates.architecture(lease, samples.architecture())
    stores.claims.fail(lease, "space-error", "over")
    found = shown(client, search_id)
    assert (found["epochs"], found["derived"]) == ([], None)
    assert "an earlier version ran it" in found["note"]


def test_a_search_that_goes_on_from_another_one_says_that_nothing_moved(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    first = start(client)
    lease = samples.claim(stores)
    keep(stores, lease, tmp_path)
    finish(stores, lease, tmp_path)
    search_id = start(client, parent=first, flops_budget="300k")
    lease = samples.claim(stores)
    report(stores, lease, history(derived=4))
    found = shown(client, search_id)
    assert (found["epochs"], found["derived"], found["positions"]) == ([], None, [])
    assert found["note"].startswith("Nothing moved: this search takes the gates as another one left them")


def test_there_is_none_of_a_search_that_does_not_exist(client: httpx.Client) -> None:
    refusal(client.get("/searches/0000000000000000/architecture-history"), 404, "not-found")


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["autonl", "autonl-paper"])
def test_of_a_real_search_by_each_algorithm(
    client: httpx.Client, stores: Stores, tmp_path: Path, algorithm: str
) -> None:
    recorder = Recorder()
    supernet = {"epochs": 3, "batch_size": 32, "candidates": 4, "generations": 0, "finalists": 1}
    settings: dict[str, Any] = {"train": SHORT_TRAINING, "supernet": supernet, "algorithm": algorithm}
    result = search(tmp_path / "search", tmp_path / "cache", recorder=recorder, **settings)
    search_id = start(client, algorithm=algorithm)
    lease = samples.claim(stores)
    points = {epoch: values for phase, epoch, values in recorder.points if phase == "searching"}
    for record, place in recorder.places:
        if place.epoch is not None:
            stores.updates.metrics(lease, "searching", place.epoch, points[place.epoch])
        stores.updates.architecture(lease, record, place)
    found = shown(client, search_id)
    assert (found["algorithm"], [entry["epoch"] for entry in found["epochs"]]) == (algorithm, [1, 2, 3])
    assert found["derived"]["arch_id"] == result.architecture.arch_id
    check_macs(client, found)
    for entry in found["epochs"]:
        likely = [points[entry["epoch"]][f"gate/{gate['position'] - 1}.{gate['name']}"] for gate in found["gates"]]
        assert entry["gates"] == [round(value, 4) for value in likely]
