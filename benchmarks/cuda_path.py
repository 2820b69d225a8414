"""A search on a GPU, compared with the CPU: what is computed, how memory that runs out is met, and how fast it is.

    python -u -m benchmarks.cuda_path                     on a machine with a GPU, about six minutes
    python -u -m benchmarks.cuda_path --device cpu        the same checks, small, on a machine without one

Each part runs in a process of its own, since a fault of the GPU leaves its process unusable: a part that fails or takes
too long is reported at the end, and the others go on. The last line is one JSON object of everything found; the exit
code is 1 if anything was found wrong. If nothing was, and all parts ran on a GPU, benchmarks/results keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.device_networks import check_memory, check_parity, measure_speed
from benchmarks.device_part import Found, Part, Setting
from benchmarks.device_searches import check_interrupted_search, check_stops, check_whole_search
from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe

# In this order: what others compare with comes first, and what matters least if time runs out comes last.
PARTS: Mapping[str, Part] = {
    "whole_search": check_whole_search,
    "stops": check_stops,
    "parity": check_parity,
    "memory": check_memory,
    "speed": measure_speed,
    "interrupted_search": check_interrupted_search,
}
LIMIT_S = 480.0  # of all parts: 341 s on an H200
PART_LIMIT_S = 150.0


def main() -> int:
    options = _parse()
    if options.alone:
        return _run_here(options)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="autonl-cuda-path-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        say(f"{_device_name(options.device)}, {describe()}")
        found: dict[str, Found] = {}
        for name in options.parts:
            left_s = options.limit_s - (time.monotonic() - began)
            found[name] = _run_apart(name, options.device, folder, min(PART_LIMIT_S, left_s))
            for problem in found[name].problems:
                say(f"[{name}] WRONG: {problem}")
    problems = {name: list(part.problems) for name, part in found.items() if part.problems}
    summary: dict[str, object] = {"device": _device_name(options.device), "machine": describe(), "problems": problems}
    summary |= {name: dict(part.facts) for name, part in found.items()}
    say(json.dumps(summary))
    if options.device != "cpu" and set(found) == set(PARTS) and not problems:
        (RESULTS / "cuda_path.json").write_text(json.dumps(summary, indent=2) + "\n")
    return 1 if problems else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument(
        "--limit-s", type=float, default=LIMIT_S, help="for all parts; what has not run then is missing"
    )
    parser.add_argument("--folder", type=Path, help="keep the files of the searches here; default: nowhere")
    parser.add_argument(
        "--alone", type=Path, help=argparse.SUPPRESS
    )  # a file for what was found by the one part of --parts
    return parser.parse_args()


def _run_apart(name: str, device: str, folder: Path, limit_s: float) -> Found:
    """Run a part in a process group of its own, which is ended after `limit_s`."""
    if limit_s <= 0:
        return Found({}, ("it did not run: the time was used up",))
    say(f"[{name}] begins, {limit_s:.0f} s at most")
    answer, began = folder / f"{name}.json", time.monotonic()
    command = [sys.executable, "-u", "-m", "benchmarks.cuda_path", "--device", device, "--parts", name]
    command += ["--folder", str(folder), "--alone", str(answer)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code: int | None = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        code = None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    seconds = round(time.monotonic() - began, 1)
    say(f"[{name}] {seconds} s")
    if not answer.exists():
        ended = f"it took more than {limit_s:.0f} s" if code is None else f"it ended with exit code {code}"
        return Found({"seconds": seconds}, (ended,))
    read = json.loads(answer.read_text())
    late = ("it did not end in time",) if code is None else ()
    return Found({"seconds": seconds, **read["facts"]}, (*read["problems"], *late))


def _run_here(options: argparse.Namespace) -> int:
    (name,) = options.parts
    found = PARTS[name](Setting(options.device, options.folder))
    options.alone.write_text(json.dumps({"facts": dict(found.facts), "problems": found.problems}))
    return 0


def _device_name(device: str) -> str:
    return "CPU" if device == "cpu" else torch.cuda.get_device_name()


if __name__ == "__main__":
    sys.exit(main())
