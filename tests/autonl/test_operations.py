"""What users of the client do, on a running API, by both clients."""

from __future__ import annotations

import hashlib
import inspect
import random
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from autonl import AsyncClient, Client, PackingFailed, Refused, WaitTimeout, operations, webhook_operations
from autonl.errors import AutonlError
from autonl.models.searches import Search
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import CONTENT, check_datasets, run_to_success, start
from tests.autonl.conftest import Caller
from tests.reliability.proxy import FaultProxy
from tests.store import sample_rows as samples

LARGE = random.Random(5).randbytes(2_000_000)


def class_folders(root: Path, images_each: int = 30, size: int = 8) -> Path:
    """A dataset of two classes of noise."""
    noise = random.Random(1)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(images_each):
            Image.frombytes("RGB", (size, size), noise.randbytes(3 * size * size)).save(root / label / f"{number}.png")
    return root


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, str]:
        return {
            name: str(inspect.signature(value))
            for name, value in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name not in ("run", "iterate", "close")
        }

    assert methods(Client) == methods(AsyncClient)
    defined = {
        name
        for module in (operations, webhook_operations)
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if name[0] != "_" and value.__module__ == module.__name__
    }
    assert set(methods(Client)) == defined


def test_a_search_is_started_shown_controlled_and_deleted(caller: Caller, service: httpx.Client) -> None:
    url = str(service.base_url)
    plan = caller.run(url, operations.validate_search("digits", "400k"))
    assert plan.feasible_range.min_macs < 400_000 < plan.feasible_range.max_macs
    assert list(caller.collect(url, operations.searches())) == []

    started = caller.run(url, operations.start_search("digits", "400k", seed=7))
    assert (started.state, started.flops_budget, started.config["seed"]) == ("queued", 400_000, 7)
    assert started.created_at.tzinfo is not None
    assert started.document == service.get(f"/searches/{started.id}").json()
    assert caller.run(url, operations.search(started.id)) == started
    (listed,) = caller.collect(url, operations.searches(state="queued", dataset="digits"))
    assert (listed.id, listed.queue) == (started.id, started.queue)

    assert caller.run(url, operations.pause(started.id)).state == "paused"
    assert caller.run(url, operations.resume(started.id)).state == "queued"
    assert caller.run(url, operations.cancel(started.id)).resting
    caller.run(url, operations.delete_search(started.id))
    with pytest.raises(Refused) as gone:
        caller.run(url, operations.search(started.id))
    assert (gone.value.type, gone.value.status) == ("not-found", 404)


def test_what_is_wrong_with_a_search_is_in_the_error(caller: Caller, service: httpx.Client) -> None:
    with pytest.raises(Refused) as refused:
        caller.run(str(service.base_url), operations.start_search("nope", "lots"))
    assert {error.pointer for error in refused.value.errors} == {"/dataset", "/flops_budget"}
    with pytest.raises(Refused) as infeasible:
        caller.run(str(service.base_url), operations.start_search("digits", 1000))
    assert infeasible.value.type == "budget-infeasible"
    assert infeasible.value.problem["feasible_range"]["min_macs"] > 1000


def test_all_pages_of_a_list_are_shown(caller: Caller, service: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [start(service, seed=seed) for seed in range(5)]
    monkeypatch.setattr(operations, "_PAGE_SIZE", 2)
    shown = caller.collect(str(service.base_url), operations.searches())
    assert sorted(one.id for one in shown) == sorted(ids)


def test_waiting_ends_with_the_result_and_reports_every_change(
    caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    seen: list[Search] = []
    finishing = threading.Timer(0.5, run_to_success, (stores, tmp_path))
    finishing.start()
    ended = caller.run(str(service.base_url), operations.wait(search_id, seen.append))
    finishing.join()
    assert (seen[0].state, seen[-1], ended.state) == ("queued", ended, "succeeded")
    assert len({one.state for one in seen}) == len(seen)  # what has not changed is not reported
    assert ended.result is not None
    assert ended.result.test_correct == samples.result().test_correct
    assert ended.result.files["safetensors"].size_bytes == len(CONTENT)


def test_waiting_ends_when_the_caller_says_so(caller: Caller, service: httpx.Client) -> None:
    search_id, began = start(service), time.monotonic()
    with pytest.raises(WaitTimeout, match=f"{search_id} is queued after 0.3 s"):
        caller.run(str(service.base_url), operations.wait(search_id, timeout_s=0.3))
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("short_waits")
def test_an_interrupted_download_requests_only_what_is_missing(
    caller: Caller, service: httpx.Client, proxy: FaultProxy, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    (tmp_path / "files").mkdir()
    run_to_success(stores, tmp_path / "files", LARGE)
    seen: list[tuple[int, int]] = []

    def on_progress(received: int, total: int) -> None:
        if not seen:  # the first bytes of the file are about to be requested
            proxy.allow(1_000_000)
        seen.append((received, total))

    url, target = f"http://127.0.0.1:{proxy.port}", tmp_path / "model"
    downloaded = caller.run(url, operations.download(search_id, target=target, on_progress=on_progress))
    assert (downloaded, hashlib.sha256(target.read_bytes()).digest()) == (target, hashlib.sha256(LARGE).digest())
    assert proxy.reached.is_set()
    assert proxy.reply_bytes < len(LARGE) + 40_000  # no byte was sent twice
    assert seen[-1] == (len(LARGE), len(LARGE))


def test_a_download_is_named_by_the_service_or_refused_with_the_reason(
    caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_id, url = start(service), str(service.base_url)
    with pytest.raises(AutonlError, match="is queued and has no checkpoint"):
        caller.run(url, operations.download(search_id))
    run_to_success(stores, tmp_path)
    monkeypatch.chdir(tmp_path)
    file = caller.run(url, operations.download(search_id))
    assert file.name.startswith("autonl-")
    assert file.read_bytes() == CONTENT
    with pytest.raises(Refused, match="not asked to export") as refused:
        caller.run(url, operations.download(search_id, "pt2"))
    assert refused.value.type == "checkpoint-not-ready"


def test_a_folder_is_uploaded_checked_and_deleted(
    caller: Caller, service: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    url, folder = str(service.base_url), class_folders(tmp_path / "pets")
    (folder / "cat" / "broken.png").write_bytes(b"no image")
    sent: list[tuple[int, int]] = []
    uploaded = caller.run(
        url, operations.upload_dataset("pets", folder, on_progress=lambda done, total: sent.append((done, total)))
    )
    assert (uploaded.state, sent[-1][0]) == ("checking", sent[-1][1])
    checking = threading.Timer(0.3, check_datasets, (settings,))
    checking.start()
    checked = caller.run(url, operations.wait_for_dataset("pets", timeout_s=60))
    checking.join()
    assert (checked.state, checked.classes) == ("ready", ("cat", "dog"))
    assert [finding.files for finding in checked.findings if finding.count == 1] == [("cat/broken.png",)]
    assert "pets" in [one.name for one in caller.run(url, operations.datasets())]
    caller.run(url, operations.delete_dataset("pets"))
    with pytest.raises(Refused, match="no dataset"):
        caller.run(url, operations.dataset("pets"))


def test_what_cannot_be_packed_is_named(caller: Caller, service: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(PackingFailed, match="contains no files"):
        caller.run(str(service.base_url), operations.upload_dataset("empty", tmp_path / "nothing"))


def test_weights_are_listed_and_those_that_are_none_are_refused_with_the_reason(
    caller: Caller, service: httpx.Client, tmp_path: Path
) -> None:
    url = str(service.base_url)
    built_in = caller.run(url, operations.list_weights())
    assert {one.origin for one in built_in} == {"built-in"}
    assert caller.run(url, operations.weights(built_in[0].name)).sha256 == built_in[0].sha256
    (tmp_path / "empty").touch()
    with pytest.raises(Refused, match="empty"):
        caller.run(url, operations.upload_weights("mine", tmp_path / "empty"))


def test_labels_are_changed_and_searches_found_by_them(caller: Caller, service: httpx.Client) -> None:
    url = str(service.base_url)
    started = caller.run(url, operations.start_search("digits", "400k", labels={"team": "x"}))
    changed = caller.run(url, operations.change_labels(started.id, {"team": None, "project": "y"}))
    assert dict(changed.labels) == {"project": "y"}
    (found,) = caller.collect(url, operations.searches(label="project:y"))
    assert (found.id, caller.collect(url, operations.searches(label="team:x"))) == (started.id, [])
