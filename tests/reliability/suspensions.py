"""A laptop that sleeps: `autonl up`, whose processes are stopped for a while and then continued, again and again.

`python -m tests.reliability.suspensions --stop-s 90 --stops 5 --who both` runs it with the settings of `autonl up`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.service import url_of
from tests.reliability.reference_search import uninterrupted_weights_sha256
from tests.reliability.service import ROOT, send_signal
from tests.servers import is_frozen, wait_for

START_S = 60
WHO = ("supervisor", "search", "both", "all")


@dataclass(frozen=True)
class Suspension:
    """One stop: when, in which phase, how old the newest run state was, and whether its attempt survived it."""

    phase: str
    unsaved_s: float
    survived: bool

    @property
    def lost_s(self) -> float:
        """Seconds of work that were done again."""
        return 0.0 if self.survived else self.unsaved_s


@dataclass(frozen=True)
class Laptop:
    """A running `autonl up`."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def post(self, config: Mapping[str, Any]) -> str:
        answer = self.client.post("/searches", json=config)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def register(self, name: str, path: Path) -> None:
        """Register a dataset, and wait until it is checked."""
        self.client.post("/datasets", json={"name": name, "path": str(path)}).raise_for_status()
        wait_for(lambda: self.client.get(f"/datasets/{name}").json()["state"] == "ready", "it is checked", 300)

    def search(self, search_id: str) -> dict[str, Any]:
        search: dict[str, Any] = self.client.get(f"/searches/{search_id}").json()
        return search

    def events(self, search_id: str) -> list[dict[str, Any]]:
        headers = {"Accept": "application/json"}
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = self.client.get(f"/searches/{search_id}/events?after={after}", headers=headers).json()["events"]
            if not page:
                return found
            found += page

    def who(self, who: str) -> list[psutil.Process]:
        """The processes to stop: of the supervisor that runs a search, of the search process, of both, or all."""
        everything = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        if who == "all":
            return everything
        searching = [process for process in everything if "worker.search_process" in process.cmdline()]
        roots = [process for process in searching if "worker.search_process" not in process.parent().cmdline()]
        assert len(roots) == 1, f"{len(roots)} search processes run"
        search = [roots[0], *roots[0].children(recursive=True)]
        supervisor = [roots[0].parent()]
        return {"supervisor": supervisor, "search": search, "both": supervisor + search}[who]

    def suspend(self, search_id: str, who: str, stop_s: float) -> Suspension:
        """Stop these processes for `stop_s`, then let them go on, and wait until the search is worked on again."""
        before, stopped = self.search(search_id), self.who(who)
        claims = len(before["attempts"])
        events = self.events(search_id)
        newest = [event for event in events if event["kind"] in ("run_state_saved", "claimed")][-1]
        for process in stopped:
            send_signal(process, signal.SIGSTOP)
        unsaved_s = (datetime.now(UTC) - datetime.fromisoformat(newest["at"])).total_seconds()
        wait_for(lambda: all(is_frozen(process.pid) for process in stopped), "all of them stand still")
        time.sleep(stop_s)
        for process in reversed(stopped):
            send_signal(process, signal.SIGCONT)
        progress = before["progress"]

        def goes_on() -> bool:
            now = self.search(search_id)
            assert now["state"] not in ("failed", "cancelled"), now["error"]
            return bool(now["state"] == "succeeded" or (now["state"] == "running" and now["progress"] != progress))

        wait_for(goes_on, "the search goes on", timeout_s=120)
        time.sleep(2)  # until a supervisor that lost its lease has noticed it
        wait_for(goes_on, "the search goes on", timeout_s=120)
        survived = len(self.search(search_id)["attempts"]) == claims
        return Suspension(before["phase"] or "preparing", unsaved_s, survived)

    def wait_for_end(self, search_id: str, timeout_s: float) -> dict[str, Any]:
        """The search once it is final."""
        final = ("succeeded", "failed", "cancelled")
        wait_for(lambda: self.search(search_id)["state"] in final, "the search ends", timeout_s)
        return self.search(search_id)


@contextmanager
def laptop(folder: Path, environment: Mapping[str, str]) -> Iterator[Laptop]:
    """`autonl up` with its own defaults, but for `environment`."""
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--data-dir", str(folder)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, text=True, **pipes)
    try:
        wait_for(lambda: url_of(folder, process.pid) or process.poll() is not None, "the service is up", START_S)
        url = url_of(folder, process.pid)
        assert url is not None, process.communicate()[0]
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Laptop(process, client)
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        for other in family:
            send_signal(other)


def sleep_often(
    service: Laptop, search_id: str, *, stops: int, stop_s: float, who: Sequence[str], awake_s: Callable[[], float]
) -> list[Suspension]:
    """Suspend a search so often, in turn `who`; between two stops it works for `awake_s()` seconds."""
    suspensions = []
    for stop in range(stops):
        wait_for(lambda: service.search(search_id)["state"] == "running", "the search runs", 120)
        wait_for(lambda: service.search(search_id)["progress"], "the search has begun", 120)
        time.sleep(awake_s())
        if service.search(search_id)["state"] != "running":
            break
        suspensions.append(service.suspend(search_id, who[stop % len(who)], stop_s))
        print(f"  stop {stop + 1} of {who[stop % len(who)]}: {suspensions[-1]}", file=sys.stderr, flush=True)
    return suspensions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop-s", type=float, default=90)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--who", choices=WHO, nargs="+", default=["both"])
    parser.add_argument("--awake-s", type=float, nargs=2, default=(20, 50))
    parser.add_argument("--config", type=json.loads, required=True, help="of the search, as JSON")
    parser.add_argument("--dataset-path", type=Path, help="of a zip file or folder; the dataset is named in CONFIG")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weights", help="SHA-256 of the uninterrupted search, if it is known")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="autonl-laptop-") as folder:
        expected = arguments.weights or uninterrupted_weights_sha256(
            Path(folder), arguments.config, arguments.dataset_path
        )
        print(f"  uninterrupted: {expected}", file=sys.stderr, flush=True)
        with laptop(Path(folder) / "data", {"AUTONL_THREADS": "1"}) as service:
            if arguments.dataset_path is not None:
                service.register(arguments.config["dataset"], arguments.dataset_path)
            search_id = service.post(arguments.config)
            suspensions = sleep_often(
                service,
                search_id,
                stops=arguments.stops,
                stop_s=arguments.stop_s,
                who=arguments.who,
                awake_s=lambda: rng.uniform(*arguments.awake_s),
            )
            search = service.wait_for_end(search_id, 3600)
    result = search["result"]
    print(
        json.dumps(
            {
                "state": search["state"],
                "same_weights": result is not None and result["weights_sha256"] == expected,
                "attempts": [(attempt["exit_class"], attempt["detail"]) for attempt in search["attempts"]],
                "lost_s": [round(suspension.lost_s, 1) for suspension in suspensions],
                "phases": [suspension.phase for suspension in suspensions],
                "error": search["error"],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
