"""Loader throughput in images per second: shuffled (B, R, R, 3) uint8 batches from JPEG files.

    python -m benchmarks.reading

Method: one epoch of a generated dataset by each loader, interleaved, round after round; medians. Files and caches are
in the page cache: this compares work, not disks.

    decoding      a straightforward loader: open, convert, scale and crop in every epoch, in this process
    in processes  the same in one process per core
    cached        ours: images decoded by an earlier epoch or search
    sharded       ours when the cache has no room for them: decoding processes, one batch ahead

Fails unless `cached` is at least five times as fast as the faster of the first two.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from autonl_core.data.prepare import PreparedData, prepare
from autonl_core.datasets.scan import scan
from benchmarks.harness import arguments, say, times_interleaved, write_result
from benchmarks.machine import describe
from benchmarks.pictures import write_folder

SETS = ((32, 4_000, (32, 32)), (224, 400, (256, 400)))  # resolution, images, range of file width and height
BATCH_SIZE = 64
LEAST_RATIO = 5.0


def decode_batch(paths: list[str], resolution: int) -> NDArray[np.uint8]:
    """Load a batch the straightforward way."""
    images = []
    for path in paths:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (resolution, resolution), Image.Resampling.BILINEAR)
            images.append(np.asarray(square))
    return np.stack(images)


def measure(resolution: int, count: int, sides: tuple[int, int], rounds: int, pool: Pool) -> dict[str, Any]:
    """Images per second of every loader on one generated dataset."""
    with tempfile.TemporaryDirectory(prefix="autonl-reading-") as name:
        folder = write_folder(Path(name) / "images", count, sides)
        spec = scan("pictures", folder)
        cached = prepare(spec, resolution, Path(name) / "cached")
        sharded = prepare(spec, resolution, Path(name) / "sharded", cache_limit_bytes=1_000_000)
        assert (cached.sharded, sharded.sharded) == (False, True)
        paths = sorted(str(path) for path in folder.rglob("*.jpg"))
        file_bytes = statistics.mean(Path(path).stat().st_size for path in paths)
        decode = functools.partial(decode_batch, resolution=resolution)

        def epoch_of_files(decoded: Callable[[list[list[str]]], Any]) -> int:
            order = np.random.default_rng(0).permutation(len(cached.train))
            batches = [[paths[i] for i in order[at : at + BATCH_SIZE]] for at in range(0, len(order), BATCH_SIZE)]
            return sum(len(torch.from_numpy(images)) for images in decoded(batches))

        loaders: dict[str, Callable[[], object]] = {
            "decoding": lambda: epoch_of_files(lambda batches: map(decode, batches)),
            "in_processes": lambda: epoch_of_files(lambda batches: pool.imap(decode, batches)),
            "cached": lambda: epoch_of_prepared(cached),
            "sharded": lambda: epoch_of_prepared(sharded),
        }
        seconds = times_interleaved(loaders, rounds)
        rates = {name: len(cached.train) / statistics.median(times) for name, times in seconds.items()}
    return {
        "resolution": resolution,
        "images": len(cached.train),
        "file_bytes": round(file_bytes),
        "images_per_s": rates,
        "ratio": rates["cached"] / max(rates["decoding"], rates["in_processes"]),
    }


def epoch_of_prepared(data: PreparedData) -> int:
    """Read one epoch of a prepared dataset; returns the number of images."""
    order = np.random.default_rng(0).permutation(len(data.train))
    batches = [order[at : at + BATCH_SIZE] for at in range(0, len(order), BATCH_SIZE)]
    return sum(len(images) for images, _ in data.train.take_ahead(batches))


def main() -> int:
    options = arguments(__doc__, rounds=5)
    cores = os.cpu_count() or 1
    say(f"images per second, batch {BATCH_SIZE}, {cores} processes, {describe()}")
    say(f"{'resolution':<12}{'file':>9}{'decoding':>10}{'in processes':>14}{'cached':>10}{'ratio':>8}{'sharded':>10}")
    measured = []
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        for resolution, count, sides in SETS:
            row = measure(resolution, count, sides, options.rounds, pool)
            measured.append(row)
            rates = row["images_per_s"]
            say(
                f"{resolution:<12}{row['file_bytes'] / 1000:>6.1f} kB{rates['decoding']:>10,.0f}"
                f"{rates['in_processes']:>14,.0f}{rates['cached']:>10,.0f}{row['ratio']:>7.1f}x{rates['sharded']:>10,.0f}"
            )
    write_result("reading", options, {"batch_size": BATCH_SIZE, "processes": cores, "sets": measured})
    missed = [row["resolution"] for row in measured if row["ratio"] < LEAST_RATIO]
    if missed:
        say(f"less than {LEAST_RATIO:g} times as fast at these resolutions: {missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
