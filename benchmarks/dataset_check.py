"""The dataset check: the search for near duplicates by number of images, and whole checks of an archive.

    python -m benchmarks.dataset_check [--archive IMAGES.zip] [--base DIR] [--rounds N]

Method: each measurement in a fresh process, all of them interleaved, round after round; medians, CPU time beside wall
time, because other work on the machine changes the latter. The search gets 200,000 and 400,000 generated descriptors:

    photos   spectra of photographs, every fiftieth image a near duplicate at a distance of up to 0.3
    frames   videos of 300 frames that drift, so that each frame has many near duplicates
    digits   scans of the digits of scikit-learn, with noise

Pixels are not compared: every pair of which they would be counts as the same picture. Memory is what the search adds to
the peak of a process that has the descriptors. With an archive, whole checks of it are measured as well, alone or
beside those of the code in DIR. Fails if twice the images take more than 2.5 times the CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from sklearn.datasets import load_digits

from autonl_core.dataset_check.duplicates import find_duplicates
from autonl_core.dataset_check.inspect import DESCRIPTOR_DIM, FREQUENCIES, Inspected
from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe

COUNTS = (200_000, 400_000)
MOST_RATIO = 2.5
_FRAMES = 300
_PART = 10_000  # images generated at a time
_CHECK = """
import json, resource, sys, tempfile, time
from pathlib import Path
from autonl_core.dataset_check.check import check_dataset
with tempfile.TemporaryDirectory() as folder:
    began = time.perf_counter()
    report = check_dataset("images", Path(sys.argv[1]), Path(folder)).report.to_json()
    wall_s = time.perf_counter() - began
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
report.pop("seconds")
cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "report": report}))
"""

Vectors = NDArray[np.float64]


def scaled(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def photos(rng: np.random.Generator, count: int) -> Vectors:
    """Random descriptors with the spectrum of photographs; every fiftieth is close to the one before it."""
    frequencies = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]).ravel()[1:]
    vectors = scaled(rng.normal(size=(count, DESCRIPTOR_DIM)) / frequencies**1.2)
    change = scaled(rng.normal(size=vectors[1::50].shape)) * rng.uniform(0, 0.3, (len(vectors[1::50]), 1))
    vectors[1::50] = scaled(vectors[::50][: len(change)] + change)
    return vectors


def frames(rng: np.random.Generator, count: int) -> Vectors:
    """Descriptors that drift from one photograph, for every video."""
    starts = np.repeat(photos(rng, -(-count // _FRAMES)), _FRAMES, axis=0)[:count]
    steps = rng.normal(0, 0.0025, (count, DESCRIPTOR_DIM))
    for start in range(0, count, _FRAMES):
        steps[start : start + _FRAMES] = steps[start : start + _FRAMES].cumsum(axis=0)
    return scaled(starts + steps)


def digits(rng: np.random.Generator, count: int) -> Vectors:
    """Descriptors of digits, the noise of a scan added to each."""
    waves = dctn(load_digits().images, axes=(1, 2), norm="ortho").reshape(-1, FREQUENCIES**2)[:, 1:]
    vectors = scaled(waves)[rng.integers(0, len(waves), count)]
    return scaled(vectors + rng.normal(0, 0.02, vectors.shape))


SETS: Mapping[str, Callable[[np.random.Generator, int], Vectors]] = {
    "photos": photos,
    "frames": frames,
    "digits": digits,
}


def generated(kind: str, count: int) -> Inspected:
    """A set as if its images had been opened."""
    rng = np.random.default_rng(0)
    images = Inspected([""] * count)
    images.digests = [number.to_bytes(4, "big") for number in range(count)]
    images.sizes[:] = 64
    for start in range(0, count, _PART):
        part = slice(start, min(start + _PART, count))
        size = part.stop - start
        images.descriptors[part] = SETS[kind](rng, size)
        pictures = {"photos": np.arange(size) - (np.arange(size) % 50 == 1), "frames": np.arange(size) // _FRAMES}
        picture = pictures.get(kind, np.zeros(size, np.int64))
        images.means[part] = rng.normal(120, 45, size)[picture]
        images.colours[part] = rng.normal(128, 12, (size, 2, 1, 1)).clip(0, 255)[picture]
    return images


def search(kind: str, count: int) -> dict[str, float]:
    """Measure one search, in this process."""
    images = generated(kind, count)
    before_bytes = peak_bytes()
    began, began_cpu = time.perf_counter(), time.process_time()
    compared = 0

    def all_same(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
        nonlocal compared
        compared += len(one)
        return np.ones(len(one), bool)

    found = find_duplicates(images, all_same)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    added_bytes = peak_bytes() - before_bytes
    groups = len(np.unique(found.groups))
    measured = {"wall_s": wall_s, "cpu_s": cpu_s, "bytes_per_image": added_bytes / count, "groups": groups}
    return measured | {"compared_per_image": compared / count}


def peak_bytes() -> int:
    """Most resident memory so far. Unlike `getrusage`, the kernel's status does not count that of the parent."""
    status = Path("/proc/self/status").read_text().split()
    return 1024 * int(status[status.index("VmHWM:") + 1])


def _run(command: Sequence[str], tree: Path | None = None) -> dict[str, Any]:
    """The JSON that a fresh process prints; it imports the code in `tree`."""
    environment = dict(os.environ) | ({"PYTHONPATH": str(tree)} if tree else {})
    done = subprocess.run([sys.executable, *command], env=environment, cwd=tree, capture_output=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0] if name != "report"}


def measure_searches(kinds: Sequence[str], rounds: int) -> dict[str, Any]:
    """Medians by kind and number of images, and the ratios of the CPU and wall times of twice the images."""
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {(kind, count): [] for kind in kinds for count in COUNTS}
    for _ in range(rounds):
        for (kind, count), rows in runs.items():
            rows.append(_run(["-m", "benchmarks.dataset_check", "--search", kind, str(count)]))
    measured: dict[str, Any] = {}
    for kind in kinds:
        small, large = (_medians(runs[kind, count]) for count in COUNTS)
        ratios = {name: large[name] / small[name] for name in ("cpu_s", "wall_s")}
        measured[kind] = {"images": {str(COUNTS[0]): small, str(COUNTS[1]): large}, "ratios": ratios}
        say(
            f"{kind:<8}{small['cpu_s']:>7.1f} s{large['cpu_s']:>7.1f} s of CPU, ratio {ratios['cpu_s']:.2f}; "
            f"wall {small['wall_s']:.1f} s, {large['wall_s']:.1f} s; {large['bytes_per_image']:.0f} bytes and "
            f"{large['compared_per_image']:.2f} comparisons per image"
        )
    return measured


def measure_checks(archive: Path, base: Path | None, rounds: int) -> dict[str, Any]:
    """Medians of whole checks of `archive` by this code, and by that in `base`; all reports must be equal."""
    trees = {"checked": Path(__file__).parents[1]} | ({"base": base.resolve()} if base else {})
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            runs[name].append(_run(["-c", _CHECK, str(archive.resolve())], tree))
    reports = [row["report"] for rows in runs.values() for row in rows]
    assert all(report == reports[0] for report in reports)
    measured = {name: _medians(rows) for name, rows in runs.items()}
    for name, row in measured.items():
        say(f"{name:<8}{row['wall_s']:>7.2f} s, {row['cpu_s']:.2f} s of CPU")
    return {"images": reports[0]["images"], "checks": measured}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="zip archive to check")
    parser.add_argument("--base", type=Path, help="a tree of other code that checks the same archive")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--search", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        kind, count = options.search
        say(json.dumps(search(kind, int(count))))
        return 0
    content: dict[str, Any] = {"machine": describe(), "rounds": options.rounds}
    if options.archive:
        content["archive"] = measure_checks(options.archive, options.base, options.rounds)
    content["searches"] = measure_searches(list(SETS), options.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "dataset_check.json").write_text(json.dumps(content, indent=2) + "\n")
    slow = [kind for kind, row in content["searches"].items() if row["ratios"]["cpu_s"] > MOST_RATIO]
    if slow:
        say(f"more than {MOST_RATIO:g} times the CPU time for twice the images: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
