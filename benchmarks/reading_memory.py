"""Resident memory of all processes of a search on 200,000 images of 64 pixels, with and without room in the cache.

    python -m benchmarks.reading_memory [--archive IMAGES.zip]

Method: in each mode a fresh process scans, prepares and splits the archive, then reads one epoch of training batches
and the test split. This is the memory that images cost; the benchmark fails above 1 GB. Then it trains and evaluates
the smallest network of a search space, whose memory comes on top and does not depend on the number of images. 50 times
per second the resident sets of the process and its decoding processes are added up, counting shared pages once for
each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import prepare, split_validation
from autonl_core.datasets.scan import scan
from autonl_core.nn.network import build_network
from autonl_core.spec.config_sections import TrainConfig
from autonl_core.spec.space_families import get_space
from autonl_core.training.evaluate import evaluate
from autonl_core.training.trainer import Trainer
from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe
from benchmarks.pictures import write_archive

IMAGES, RESOLUTION, BATCH_SIZE = 200_000, 64, 64
LIMIT_BYTES = 10**9
MODES = {"cached": 0, "sharded": 100 << 20}  # cache limit in bytes; 0: limited only by the disk
_TRAIN_STEPS = 50
_SAMPLE_S = 0.02


def read_all(archive: Path, cache_dir: Path, cache_bytes: int) -> dict[str, float]:
    """Read images as a search does. Returns durations in seconds, and the rate in images per second."""
    torch.set_num_threads(1)
    marks = [time.perf_counter()]
    data = prepare(scan("images", archive), RESOLUTION, cache_dir, cache_limit_bytes=cache_bytes)
    assert data.sharded == bool(cache_bytes)
    marks.append(time.perf_counter())
    fit, _ = split_validation(data.train, 0.1, seed=0)
    loader = Loader(data, torch.device("cpu"), 0, Augmentation(flip=True, padding_px=8))
    marks.append(time.perf_counter())
    seen = sum(len(labels) for _, labels in loader.epoch(data.train, "train", 0, BATCH_SIZE))
    marks.append(time.perf_counter())
    tested = sum(len(labels) for _, labels in loader.plain(data.test))
    assert seen + tested >= IMAGES - BATCH_SIZE
    say("read")
    classes = int(data.train.labels.max()) + 1
    network = build_network(get_space("mobile-32", RESOLUTION, classes).smallest(), seed=0)
    trainer = Trainer(network, fit, loader, TrainConfig(batch_size=BATCH_SIZE), "train", epochs=1)
    for step in trainer.run_epoch():
        if step + 1 == _TRAIN_STEPS:
            break
    evaluate(network, (batch for number, batch in enumerate(loader.plain(data.test)) if number % 20 == 0))
    prepare_s, _, epoch_s = (b - a for a, b in itertools.pairwise(marks))
    return {"prepare_s": prepare_s, "epoch_s": epoch_s, "images_per_s": seen / epoch_s}


def measure(archive: Path, mode: str) -> dict[str, Any]:
    """Peak memory of the process tree in one mode, with the durations it reported."""
    with tempfile.TemporaryDirectory(prefix="autonl-reading-") as cache_dir:
        command = [sys.executable, "-m", "benchmarks.reading_memory", "--archive", str(archive)]
        command += ["--cache-dir", cache_dir, "--mode", mode]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            reading_bytes = _peak_bytes(process, until_output=True)
            total_bytes = max(reading_bytes, _peak_bytes(process))
            assert process.stdout is not None
            durations = json.loads(process.stdout.read().splitlines()[-1])
        disk_bytes = sum(path.stat().st_size for path in Path(cache_dir).rglob("*") if path.is_file())
    return {
        "peak_bytes": reading_bytes,
        "peak_with_network_bytes": total_bytes,
        "disk_bytes": disk_bytes,
        **durations,
    }


def _peak_bytes(process: subprocess.Popen[str], *, until_output: bool = False) -> int:
    """Peak resident bytes of the process tree until the process exits, or until it prints something."""
    assert process.stdout is not None
    peak, root = 0, psutil.Process(process.pid)
    while process.poll() is None:
        if until_output and select.select([process.stdout], [], [], 0)[0]:
            return peak
        try:
            tree = [root, *root.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in tree))
        except psutil.NoSuchProcess:  # a decoding process exited while it was inspected
            continue
        time.sleep(_SAMPLE_S)
    if process.returncode != 0:
        raise RuntimeError(f"the measured process exited with code {process.returncode}")
    return peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="zip archive of such images [default: generated]")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--cache-dir", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        say(json.dumps(read_all(options.archive, options.cache_dir, MODES[options.mode])))
        return 0
    with tempfile.TemporaryDirectory(prefix="autonl-pictures-") as scratch:
        archive = options.archive or write_archive(Path(scratch) / "images.zip", IMAGES, RESOLUTION)
        say(f"{IMAGES:,} images of {RESOLUTION} pixels, {archive.stat().st_size / 1e6:.0f} MB, {describe()}")
        measured = {mode: measure(archive, mode) for mode in MODES}
    for mode, row in measured.items():
        say(
            f"{mode:<9}peak {row['peak_bytes'] / 1e6:>5.0f} MB, with a network "
            f"{row['peak_with_network_bytes'] / 1e6:.0f} MB, {row['disk_bytes'] / 1e6:>6.0f} MB on disk, "
            f"prepared in {row['prepare_s']:.0f} s, {row['images_per_s']:,.0f} images/s"
        )
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": describe(), "images": IMAGES, "resolution": RESOLUTION, "modes": measured}
    (RESULTS / "reading_memory.json").write_text(json.dumps(content, indent=2) + "\n")
    return 1 if max(row["peak_bytes"] for row in measured.values()) > LIMIT_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
