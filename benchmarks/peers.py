"""Ours compared with networks that others wrote: the PyTorch port of AutoNL, and timm.

    make bench-peers PORT=/path/to/port TIMM=/path/to/site
    python -m benchmarks.peers --port /path/to/port --timm /path/to/site

Nothing is fetched: both are code of others, imported from where you have put it. One alone is enough; the results of
the other stay as they are. Every network is measured with one thread and with two, with the default allocator and with
one that keeps freed memory, each time in a process of its own (`benchmarks/peer_runs.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autonl_core.host.cpus import let_waiting_threads_sleep
from benchmarks import peer_port, peer_timm
from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe

THREADS = (1, 2)


@dataclass(frozen=True)
class Peer:
    """One of those we compare with.

    Args:
        subjects: what of it is measured.
        is_at: whether a folder holds it.
        describe: what is imported of it.
        how_to_get: completes "give --name FOLDER: ...".
    """

    name: str
    subjects: tuple[str, ...]
    is_at: Callable[[Path], bool]
    describe: Callable[[Path], dict[str, str]]
    how_to_get: str


PEERS = (
    Peer(
        "port",
        ("light_nl", *peer_port.NETWORKS),
        peer_port.is_port,
        peer_port.describe_port,
        peer_port.HOW_TO_GET,
    ),
    Peer("timm", tuple(peer_timm.NETWORKS), peer_timm.is_timm, peer_timm.describe_timm, peer_timm.HOW_TO_GET),
)


def measure_peer(peer: Peer, path: Path, rounds: int) -> dict[str, Any]:
    """Every subject of one peer, in every setting."""
    runs = []
    for subject in peer.subjects:
        for threads in THREADS:
            for keep_memory in (False, True):
                rows = measure_alone(subject, path, rounds, threads, keep_memory=keep_memory)
                setting = {"subject": subject, "threads": threads, "keep_memory": keep_memory, "rounds": rounds}
                runs.append(setting | {"rows": rows})
                title = f"{subject}, {threads} threads{', freed memory kept' if keep_memory else ''}"
                for row in rows:
                    say(f"{title:<50}{_name(row):<34}{_ratios(row)}")
    machine = {name: value for name, value in describe().items() if name != "threads"}
    return {"machine": machine, "peer": peer.describe(path), "runs": runs}


def measure_alone(subject: str, path: Path, rounds: int, threads: int, *, keep_memory: bool) -> list[dict[str, Any]]:
    """`benchmarks.peer_runs` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.peer_runs", "--only", subject, "--path", str(path)]
    command += ["--rounds", str(rounds), "--threads", str(threads), *(["--keep-memory"] if keep_memory else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))  # above it stands what the peer prints when imported


def _name(row: dict[str, Any]) -> str:
    if "what" in row:
        return f"{row['what']}, {row['batch']} at {row['resolution']} px"
    return f"{row['channels']}, {row['size']}x{row['size']}, {row['nl_ratio']}, {row['nl_stride']}"


def _ratios(row: dict[str, Any]) -> str:
    """For each layout of the peer: time relative to the fastest of ours, elapsed and CPU."""
    ours = "ours, fused" if "ours, fused" in row["seconds"] else "ours"
    return "   ".join(
        f"{name} / {ours}: {row['seconds'][name] / row['seconds'][ours]:5.2f}"
        f" CPU {row['cpu_seconds'][name] / row['cpu_seconds'][ours]:5.2f}"
        for name in ("peer", "peer, channels_last")
    )


def paths_of(arguments: Sequence[str] | None = None) -> tuple[dict[str, Path], int]:
    """The given path of each peer, and the number of rounds. An empty path is none; without any, this exits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for peer in PEERS:
        parser.add_argument(f"--{peer.name}", default="", help=peer.how_to_get)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args(arguments)
    paths = {peer.name: Path(given).resolve() for peer in PEERS if (given := getattr(options, peer.name))}
    if not paths:
        ways = "; ".join(f"--{peer.name} FOLDER ({peer.name.upper()}= of make), {peer.how_to_get}" for peer in PEERS)
        parser.error(f"there is nothing to compare with: nothing is fetched, so give one or both of {ways}")
    for peer in PEERS:
        if peer.name in paths and not peer.is_at(paths[peer.name]):
            parser.error(f"{paths[peer.name]} does not hold the {peer.name}: it must be {peer.how_to_get}")
    return paths, options.rounds


def main() -> int:
    paths, rounds = paths_of()
    let_waiting_threads_sleep()  # of the measured processes, which inherit it
    for peer in PEERS:
        if peer.name not in paths:
            say(f"{peer.name}: NOT MEASURED, its path was not given; --{peer.name} FOLDER: {peer.how_to_get}")
            continue
        found = peer.describe(paths[peer.name])
        say(f"{peer.name}: {', '.join(f'{name} {value}' for name, value in found.items())}; {describe()['processor']}")
        measured = measure_peer(peer, paths[peer.name], rounds)
        (RESULTS / f"peers_{peer.name}.json").write_text(json.dumps(measured, indent=2) + "\n")
    say("`python -m benchmarks.tables` writes the tables of docs/speed.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
