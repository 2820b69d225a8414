"""From POST to a downloaded checkpoint, as a client sees it, on both databases."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.spec.macs import COUNTING_RULE
from autonl_core.spec.progress import Progress
from store.models import Search
from store.stores import Stores
from tests.api.http_service import CONTENT, SEARCH, finish, run_to_success, start
from tests.servers import wait_for
from tests.store import sample_rows as samples


@pytest.mark.usefixtures("database_url")
def test_a_search_is_accepted_followed_and_downloaded(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    accepted = client.post("/searches", json=SEARCH)
    assert accepted.status_code == 202
    search = accepted.json()
    path = f"/searches/{search['id']}"
    assert accepted.headers["Location"] == path
    assert (search["state"], search["flops_budget"]) == ("queued", 400_000)
    assert client.get(path).headers["Retry-After"] == "2"

    run_to_success(stores, tmp_path)
    done = client.get(path)
    assert "Retry-After" not in done.headers
    search = done.json()
    assert (search["state"], search["stop_reason"]) == ("succeeded", "converged")
    assert search["result"]["architecture"] == search["best"]
    assert search["result"]["comparison"] == {"random_top1_pct": None}  # it was NaN
    assert [attempt["exit_class"] for attempt in search["attempts"]] == ["succeeded"]
    assert search["macs_counting_rule"] == COUNTING_RULE

    architecture = client.get(search["links"]["best"]).json()
    for figure in ("macs", "params"):  # exact: nothing is counted twice or left out
        parts = [architecture["stem"], *architecture["blocks"], architecture["head"]]
        assert sum(part[figure] for part in parts) == architecture[figure]
    assert len(architecture["blocks"]) == len(architecture["arch"]["blocks"])

    checkpoint = client.get(search["links"]["checkpoint"])
    assert checkpoint.content == CONTENT
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert checkpoint.headers["Repr-Digest"] == f"sha-256=:{digest}:"

    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get(search["links"]["checkpoint"]).status_code == 404
    assert not list((tmp_path / "artifacts").rglob("*.safetensors"))


@pytest.mark.usefixtures("database_url")
def test_the_list_is_newest_first_filtered_and_paged(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    oldest, middle, newest = (start(client, seed=seed) for seed in range(3))
    run_to_success(stores, tmp_path)

    first = client.get("/searches", params={"page_size": 2}).json()
    rest = client.get("/searches", params={"page_size": 2, "page_token": first["next_page_token"]}).json()
    assert [search["id"] for search in first["searches"]] == [newest, middle]
    assert [search["id"] for search in rest["searches"]] == [oldest]
    assert rest["next_page_token"] is None
    assert rest["searches"][0]["test_top1_pct"] == 98.0

    queued = client.get("/searches", params={"state": "queued"}).json()["searches"]
    assert [search["id"] for search in queued] == [newest, middle]
    token = {"state": "queued", "page_token": first["next_page_token"]}
    refused = client.get("/searches", params=token)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "page_token"


def test_progress_metrics_events_and_logs_show_a_running_search(client: httpx.Client, stores: Stores) -> None:
    path = f"/searches/{start(client)}"
    lease = samples.claim(stores)
    eta: dict[str, Any] = {"eta_s": 12.0, "eta_low_s": 11.0, "eta_high_s": 15.0}
    stores.updates.progress(lease, Progress("searching", 0.25, epoch=1, epochs=4, step=5, steps=20, **eta))
    stores.updates.metrics(lease, "searching", 1, {"loss": float("inf"), "val_top1_pct": 50.0})
    stores.updates.architecture(lease, samples.architecture(val_top1_pct=50.0))

    search = client.get(path).json()
    assert search["progress"] == {
        "phase": "searching",
        "fraction": 0.25,
        "epoch": 1,
        "epochs": 4,
        "step": 5,
        "steps": 20,
        **eta,
        "eta_unknown": None,
        "baseline": None,
    }
    assert search["queue"] is None
    assert search["best"]["val_top1_pct"] == 50.0
    assert "checkpoint" not in search["links"]

    metrics = client.get(f"{path}/metrics").json()
    assert metrics["points"][0]["values"] == {"loss": None, "val_top1_pct": 50.0}
    named = client.get(f"{path}/metrics", params={"names": "val_top1_pct,gate"}).json()
    assert named["points"][0]["values"] == {"val_top1_pct": 50.0}
    assert client.get(f"{path}/metrics", params={"after": metrics["last_seq"]}).json()["points"] == []

    events = client.get(f"{path}/events", headers={"Accept": "application/json"}).json()
    assert [event["kind"] for event in events["events"]] == ["created", "claimed", "phase", "architecture"]
    assert events["final"] is False

    stores.claims.attach_log(lease, "one\ntwo\nthree")
    logs = client.get(f"{path}/logs", params={"tail": 2}).json()["logs"]
    assert logs == [{"attempt": 1, "lines": ["two", "three"]}]


def test_a_search_that_succeeded_is_wholly_done_whatever_it_reported_last(client: httpx.Client, stores: Stores) -> None:
    path = f"/searches/{start(client)}"
    lease = samples.claim(stores)
    stores.updates.progress(lease, Progress("exporting", 0.995))
    stores.claims.finish(lease, samples.result(), samples.FILES)
    (listed,) = client.get("/searches").json()["searches"]
    for progress in (client.get(path).json()["progress"], listed["progress"]):
        assert (progress["fraction"], progress["eta_unknown"]) == (1.0, None)


def test_lists_show_the_best_architecture_of_each_search(client: httpx.Client, stores: Stores) -> None:
    """One tenth of the 1,438 training images of `digits` validates."""
    best = samples.architecture(seed=1, val_top1_pct=50.0)
    for number, validates in enumerate((0.1, 0.5)):
        start(client, val_fraction=validates)
        stores.updates.architecture(samples.claim(stores), replace(best, val_top1_pct=50.0 + number))
    start(client)
    listed = client.get("/searches").json()["searches"]
    assert [(one["best_macs"], one["best_val_top1_pct"], one["val_images"]) for one in listed] == [
        (None, None, 144),
        (best.macs, 51.0, 719),
        (best.macs, 50.0, 144),
    ]
    assert client.get(f"/searches/{listed[1]['id']}").json()["val_images"] == 719


def test_a_queued_search_shows_its_place_and_no_time_left(client: httpx.Client, stores: Stores) -> None:
    runs, waits = start(client), start(client)
    lease = samples.claim(stores)
    assert client.get(f"/searches/{waits}").json()["queue"]["unknown"] is not None
    stores.updates.progress(lease, Progress("training", 0.5, eta_s=80.0, eta_low_s=60.0, eta_high_s=90.0))
    wait_for(lambda: client.get(f"/searches/{waits}").json()["queue"]["unknown"] is None, "the queue is read again")
    queue = client.get(f"/searches/{waits}").json()["queue"]
    may_start_at = datetime.fromisoformat(queue.pop("may_start_at"))
    assert 30 < (may_start_at - datetime.now(UTC)).total_seconds() <= 60
    assert queue == {"position": 1, "ahead": 0, "running": 1, "unknown": None}
    listed = client.get("/searches").json()["searches"]
    assert [(one["id"], one["queue"] and one["queue"]["position"]) for one in listed] == [(waits, 1), (runs, None)]
    stores.claims.gave_back(lease)
    requeued = client.get(f"/searches/{runs}").json()
    assert requeued["queue"]["position"] == 1  # the older one goes on first
    assert (requeued["progress"]["eta_s"], requeued["progress"]["eta_unknown"]) == (None, "it is queued")


def test_progress_that_an_earlier_version_stored_is_read(client: httpx.Client, stores: Stores) -> None:
    path = f"/searches/{start(client)}"
    lease = samples.claim(stores)
    stored = {"phase": "training", "fraction": 0.5, "epoch": 1, "epochs": 2, "step": 3, "steps": 4, "eta_s": 80.0}
    with stores.database.session_scope() as session:
        session.get_one(Search, lease.search_id).progress = stored
    unknown = dict.fromkeys(("eta_low_s", "eta_high_s", "eta_unknown", "baseline"))
    assert client.get(path).json()["progress"] == stored | unknown
    assert client.get("/searches").json()["searches"][0]["progress"] == stored | unknown


def test_a_search_that_did_not_change_is_not_sent_again(client: httpx.Client, stores: Stores) -> None:
    path = f"/searches/{start(client)}"
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    samples.claim(stores)
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_cancelling_is_idempotent_and_refused_once_it_is_too_late(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    queued = f"/searches/{start(client)}"
    for _ in range(2):
        answer = client.post(f"{queued}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")

    running = f"/searches/{start(client)}"
    samples.claim(stores)
    for _ in range(2):
        assert client.post(f"{running}/cancel").json()["state"] == "cancelling"
    refused = client.delete(running)
    assert (refused.status_code, refused.json()["state"]) == (409, "cancelling")

    done = f"/searches/{start(client)}"
    run_to_success(stores, tmp_path)
    late = client.post(f"{done}/cancel")
    assert (late.status_code, late.json()["type"]) == (409, "/problems/state-conflict")
    assert late.json()["state"] == "succeeded"


def test_a_change_based_on_an_old_version_is_refused(client: httpx.Client) -> None:
    path = f"/searches/{start(client)}"
    etag = client.get(path).headers["ETag"]
    refused = client.post(f"{path}/cancel", headers={"If-Match": '"something else"'})
    assert (refused.status_code, refused.json()["type"]) == (412, "/problems/precondition-failed")
    assert client.post(f"{path}/cancel", headers={"If-Match": etag}).status_code == 202
    assert client.delete(path, headers={"If-Match": etag}).status_code == 412
    assert client.delete(path, headers={"If-Match": "*"}).status_code == 204


def test_the_same_request_sent_twice_starts_one_search(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "try-1"}
    first = client.post("/searches", json=SEARCH, headers=key)
    again = client.post("/searches", json=dict(reversed(SEARCH.items())), headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert (first.status_code, again.status_code) == (202, 202)
    other = client.post("/searches", json=SEARCH | {"seed": 7}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reuse")
    assert len(client.get("/searches").json()["searches"]) == 1


def test_validate_only_returns_the_feasible_range_and_creates_nothing(client: httpx.Client) -> None:
    answer = client.post("/searches?validate_only=true", json=SEARCH)
    assert answer.status_code == 200
    plan = answer.json()
    assert (plan["search_space"], plan["resolution"], plan["num_classes"]) == ("tiny", 8, 10)
    assert plan["feasible_range"]["min_macs"] < 400_000 < plan["feasible_range"]["max_macs"]
    assert client.get("/searches").json()["searches"] == []


def test_validate_only_estimates_the_compute_once_a_search_like_it_has_succeeded(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    """One search took 60 CPU seconds; the same one twice takes half as much to twice as much, for each."""
    first = client.post("/searches?validate_only=true", json=SEARCH).json()
    assert first["estimated_compute_s"] is None
    assert "no search from random weights in space 'tiny'" in first["estimate_unknown"]
    start(client)
    lease = samples.claim(stores)
    stores.usage.spent(lease, 60.0)
    finish(stores, lease, tmp_path)
    plan = client.post("/searches?validate_only=true", json=SEARCH | {"repeat": 2}).json()
    assert plan["estimated_compute_s"] == {"low": 60.0, "high": 240.0, "searches": 1}
    assert plan["estimate_unknown"] is None
