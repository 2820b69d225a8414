"""What users of the client do with searches, on a running API, by both clients."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from autonl import (
    Refused,
    WaitTimeout,
    search_operations,
)
from autonl.errors import AutonlError
from autonl.models.searches import Search
from store.stores import Stores
from tests.api.http_service import CONTENT, run_to_success, start
from tests.autonl.conftest import Caller
from tests.reliability.proxy import FaultProxy
from tests.store import sample_rows as samples

LARGE = random.Random(5).randbytes(2_000_000)


def test_a_search_is_started_shown_controlled_and_deleted(caller: Caller, service: httpx.Client) -> None:
    url = str(service.base_url)
    plan = caller.run(url, search_operations.validate_search("digits", "400k"))
    assert plan.feasible_range.min_macs < 400_000 < plan.feasible_range.max_macs
    assert list(caller.collect(url, search_operations.searches())) == []

    started = caller.run(url, search_operations.start_search("digits", "400k", seed=7))
    assert (started.state, started.flops_budget, started.config["seed"]) == ("queued", 400_000, 7)
    assert started.created_at.tzinfo is not None
    assert started.document == service.get(f"/searches/{started.id}").json()
    assert caller.run(url, search_operations.search(started.id)) == started
    (listed,) = caller.collect(url, search_operations.searches(state="queued", dataset="digits"))
    assert (listed.id, listed.queue) == (started.id, started.queue)

    assert caller.run(url, search_operations.pause(started.id)).state == "paused"
    assert caller.run(url, search_operations.resume(started.id)).state == "queued"
    assert caller.run(url, search_operations.cancel(started.id)).resting
    caller.run(url, search_operations.delete_search(started.id))
    with pytest.raises(Refused) as gone:
        caller.run(url, search_operations.search(started.id))
    assert (gone.value.type, gone.value.status) == ("not-found", 404)


def test_what_is_wrong_with_a_search_is_in_the_error(caller: Caller, service: httpx.Client) -> None:
    with pytest.raises(Refused) as refused:
        caller.run(str(service.base_url), search_operations.start_search("nope", "lots"))
    assert {error.pointer for error in refused.value.errors} == {"/dataset", "/flops_budget"}
    with pytest.raises(Refused) as infeasible:
        caller.run(str(service.base_url), search_operations.start_search("digits", 1000))
    assert infeasible.value.type == "budget-infeasible"
    assert infeasible.value.problem["feasible_range"]["min_macs"] > 1000


def test_all_pages_of_a_list_are_shown(caller: Caller, service: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [start(service, seed=seed) for seed in range(5)]
    monkeypatch.setattr(search_operations, "_PAGE_SIZE", 2)
    shown = caller.collect(str(service.base_url), search_operations.searches())
    assert sorted(one.id for one in shown) == sorted(ids)


def test_waiting_ends_with_the_result_and_reports_every_change(
    caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    seen: list[Search] = []
    finishing = threading.Timer(0.5, run_to_success, (stores, tmp_path))
    finishing.start()
    ended = caller.run(str(service.base_url), search_operations.wait(search_id, seen.append))
    finishing.join()
    assert (seen[0].state, seen[-1], ended.state) == ("queued", ended, "succeeded")
    assert len({one.state for one in seen}) == len(seen)  # what has not changed is not reported
    assert ended.result is not None
    assert ended.result.test_correct == samples.result().test_correct
    assert ended.result.files["safetensors"].size_bytes == len(CONTENT)


def test_waiting_ends_when_the_caller_says_so(caller: Caller, service: httpx.Client) -> None:
    search_id, began = start(service), time.monotonic()
    with pytest.raises(WaitTimeout, match=f"{search_id} is queued after 0.3 s"):
        caller.run(str(service.base_url), search_operations.wait(search_id, timeout_s=0.3))
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
    downloaded = caller.run(url, search_operations.download(search_id, target=target, on_progress=on_progress))
    assert (downloaded, hashlib.sha256(target.read_bytes()).digest()) == (target, hashlib.sha256(LARGE).digest())
    assert proxy.reached.is_set()
    assert proxy.reply_bytes < len(LARGE) + 40_000  # no byte was sent twice
    assert seen[-1] == (len(LARGE), len(LARGE))


def test_a_download_is_named_by_the_service_or_refused_with_the_reason(
    caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_id, url = start(service), str(service.base_url)
    with pytest.raises(AutonlError, match="is queued and has no checkpoint"):
        caller.run(url, search_operations.download(search_id))
    run_to_success(stores, tmp_path)
    monkeypatch.chdir(tmp_path)
    file = caller.run(url, search_operations.download(search_id))
    assert file.name.startswith("autonl-")
    assert file.read_bytes() == CONTENT
    with pytest.raises(Refused, match="not asked to export") as refused:
        caller.run(url, search_operations.download(search_id, "pt2"))
    assert refused.value.type == "checkpoint-not-ready"


def test_searches_are_compared(caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    url, finished = str(service.base_url), start(service)
    run_to_success(stores, tmp_path)
    waiting = start(service, seed=3)
    found = caller.run(url, search_operations.compare(waiting, finished))
    assert [one.search_id for one in found.searches] == [waiting, finished]
    assert [one.test_correct for one in found.searches] == [None, samples.result().test_correct]
    assert [(setting.path, setting.values) for setting in found.settings_that_differ] == [("seed", (3, 0))]
    assert {layers.layers[0] for layers in found.layers} == {None}
    assert (found.accuracies_comparable, found.accuracy_differences) == (False, ())
    with pytest.raises(Refused, match="name 2 to 5"):
        caller.run(url, search_operations.compare(finished))


def test_labels_are_changed_and_searches_found_by_them(caller: Caller, service: httpx.Client) -> None:
    url = str(service.base_url)
    started = caller.run(url, search_operations.start_search("digits", "400k", labels={"team": "x"}))
    changed = caller.run(url, search_operations.change_labels(started.id, {"team": None, "project": "y"}))
    assert dict(changed.labels) == {"project": "y"}
    (found,) = caller.collect(url, search_operations.searches(label="project:y"))
    assert (found.id, caller.collect(url, search_operations.searches(label="team:x"))) == (started.id, [])
