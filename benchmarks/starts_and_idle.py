"""What commands cost to start, and what a service costs that has nothing to do.

    python -m benchmarks.starts_and_idle [--seconds 60]

Method: `autonl up` runs on an empty data folder. After a while without requests, the time that all of its processes
together spend on a CPU is read from the kernel's own count (nanoseconds, all threads) at both ends of a minute. Then
the memory of each is read: resident (RSS, which counts a page for every process that shares it) and proportional (PSS,
which divides it among them; the sum is what the service takes from the machine). Then a short search runs, and each
command is started 9 times: the median of its CPU time (user and system), also relative to an interpreter that does
nothing. The benchmark fails above the limits below.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe
from cli.client import RESTING_STATES, Client
from cli.program import Program
from cli.service import url_of

STARTS = 9
LIMITS = {"help_cpu_s": 0.25, "status_cpu_s": 0.35, "idle_cpu_pct": 0.5, "pss_bytes": 350e6}
SEARCH: dict[str, Any] = {
    "dataset": "digits",
    "flops_budget": "400k",
    "supernet": {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 1, "finalist_epochs": 0},
    "train": {"epochs": 1, "warmup_epochs": 0},
    "export": {"formats": []},
}
_UNREACHABLE = "http://127.0.0.1:9"  # the port of a service that hardly any machine runs
_START_S, _SEARCH_S, _STOP_S = 120, 300, 60
_SETTLE_S = 140  # longer than a search process is kept ready


@contextmanager
def running_service(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """`autonl up` in an empty folder, and its URL."""
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--data-dir", str(folder)]
    program = Program("service", command, None, folder / "logs" / "up.log")
    program.start()
    assert program.pid is not None
    try:
        give_up_at = time.monotonic() + _START_S
        while (url := url_of(folder, program.pid)) is None:
            if time.monotonic() > give_up_at or not program.running:
                raise RuntimeError("\n".join(["the service did not start:", *program.last_lines()]))
            time.sleep(0.2)
        yield psutil.Process(program.pid), url
    finally:
        program.ask_to_stop()
        program.stop(time.monotonic() + _STOP_S)


def idle(service: psutil.Process, seconds: float) -> list[dict[str, Any]]:
    """CPU share, and memory, of every process of the service."""
    processes = [service, *service.children(recursive=True)]
    before, began = [_cpu_ns(process) for process in processes], time.perf_counter()
    time.sleep(seconds)
    elapsed_s = time.perf_counter() - began
    rows = []
    for process, before_ns in zip(processes, before, strict=True):
        memory = process.memory_full_info()
        cpu_pct = 100 * (_cpu_ns(process) - before_ns) / 1e9 / elapsed_s
        rows.append({"name": _name(process), "cpu_pct": cpu_pct, "rss_bytes": memory.rss, "pss_bytes": memory.pss})
    return rows


def _cpu_ns(process: psutil.Process) -> int:
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    return words[words.index("-m") + 1] if "-m" in words else process.name()


def start_cpu_s(*arguments: str) -> float:
    """The median CPU time of a Python process with these arguments."""
    seconds = []
    for _ in range(STARTS):
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
        )
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0  # it is reaped
        seconds.append(usage.ru_utime + usage.ru_stime)
    return statistics.median(seconds)


def starts(url: str) -> dict[str, float]:
    """CPU seconds of each command, with a service that has a finished search."""
    with Client(url) as client:
        search_id = client.start_search(SEARCH)["id"]
        give_up_at = time.monotonic() + _SEARCH_S
        while (state := client.search(search_id)["state"]) not in RESTING_STATES and time.monotonic() < give_up_at:
            time.sleep(1)
    if state != "succeeded":
        raise RuntimeError(f"the search is {state}")
    status = ("-m", "cli.main", "status")
    return {
        "python -c pass": start_cpu_s("-c", "pass"),
        "autonl --help": start_cpu_s("-m", "cli.main", "--help"),
        "autonl status": start_cpu_s(*status, search_id, "--url", url),
        "autonl status --json": start_cpu_s(*status, search_id, "--json", "--url", url),
        "autonl status, no service": start_cpu_s(*status, search_id, "--url", _UNREACHABLE),
    }


def _exceeded(commands: dict[str, float], processes: Sequence[dict[str, Any]]) -> list[str]:
    found = {
        "help_cpu_s": commands["autonl --help"],
        "status_cpu_s": max(cpu_s for name, cpu_s in commands.items() if name.startswith("autonl status")),
        "idle_cpu_pct": sum(row["cpu_pct"] for row in processes),
        "pss_bytes": sum(row["pss_bytes"] for row in processes),
    }
    return [f"{name} is {found[name]:g}, above {limit:g}" for name, limit in LIMITS.items() if found[name] > limit]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long the idle service is watched")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="autonl-idle-") as scratch,
        running_service(Path(scratch)) as (service, url),
    ):
        time.sleep(_SETTLE_S)
        processes = idle(service, options.seconds)
        commands = starts(url)
    for row in processes:
        say(
            f"{row['name']:<16}{row['cpu_pct']:.3f}% of a core, RSS {row['rss_bytes'] / 1e6:.0f} MB, "
            f"PSS {row['pss_bytes'] / 1e6:.0f} MB"
        )
    for name, cpu_s in commands.items():
        say(f"{name:<28}{cpu_s:.3f} CPU s, {cpu_s / commands['python -c pass']:.1f} times an empty program")
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": describe(), "idle_s": options.seconds, "processes": processes, "start_cpu_s": commands}
    (RESULTS / "starts_and_idle.json").write_text(json.dumps(content, indent=2) + "\n")
    for line in (problems := _exceeded(commands, processes)):
        say(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
