"""A search of the recipe for ImageNet, on few generated photos of 224 pixels, killed once in every phase.

`python -m benchmarks.killed_in_every_phase --out FOLDER` runs it twice: once to its end, and once so that its process
gets SIGKILL soon after each phase has begun, and goes on from its run states. Prints whether both found the same
weights, the largest memory of a process with all that it started, and seconds. Epochs are few.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from PIL import Image

from autonl_core.datasets.scan import find_dataset
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.files import write_atomically
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.progress import KEPT_RUN_STATES, Phase, Progress, SavedState, Silent

RECIPE = Path(__file__).parents[1] / "recipes/imagenet.yaml"
PHASES: tuple[Phase, ...] = ("preparing", "searching", "deriving", "training", "evaluating", "exporting")
CLASSES, IMAGES, PIXELS = 4, 240, 256
LOOK_S, KILL_AFTER_S = 0.2, 1.0


def short_recipe(budget: str = "300M") -> SearchConfig:
    """The recipe at another budget, on the generated photos, with one epoch of everything and few candidates."""
    recipe: dict[str, Any] = yaml.safe_load(RECIPE.read_text())
    supernet = {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 2, "finalist_epochs": 1, "batch_size": 16}
    return SearchConfig.model_validate(
        recipe
        | {"dataset": "photos", "flops_budget": budget, "val_fraction": 0.1, "resource_class": "any"}
        | {"supernet": recipe["supernet"] | supernet, "train": recipe["train"] | {"epochs": 1, "batch_size": 16}}
    )


def write_photos(folder: Path, images: int = IMAGES) -> None:
    """Smooth pictures in `CLASSES` classes, each with colours of its own, 256 x 320 pixels."""
    for number in range(images):
        label = number % CLASSES
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 160, (5, 6, 3)).astype(np.uint8)
        coarse[..., label % 3] //= 2 + label
        path = folder / f"class{label}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((PIXELS * 5 // 4, PIXELS), Image.Resampling.BICUBIC).save(path, quality=90)


class Remembering(Silent):
    """Prints every phase as it begins, and keeps the run states as a service does."""

    def __init__(self, out: Path) -> None:
        self._out, self._phase = out, ""
        self.states = [SavedState(Path(path), *rest) for path, *rest in _read(out / "states.json")]

    def progress(self, progress: Progress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            print(progress.phase, flush=True)

    def saved(self, state: SavedState) -> None:
        self.states.append(state)
        kept = [[str(s.path), s.sha256, s.size_bytes, s.step] for s in self.states[-KEPT_RUN_STATES:]]
        write_atomically(self._out / "states.json", lambda path: _write(path, json.dumps(kept)))


def search(photos: Path, out: Path) -> None:
    """One attempt, from the run states in `out` if there are any; prints the weights' SHA-256 at its end."""
    from autonl_core.search import run_search

    out.mkdir(parents=True, exist_ok=True)
    sink, dataset = Remembering(out), dataset_of(photos)
    host = HostOptions(cache_dir=out / "cache")
    attempt = out / f"attempt-{os.getpid()}"
    attempt.mkdir()
    result = run_search(short_recipe(), dataset, attempt, sink=sink, stop=sink, resume_from=sink.states, host=host)
    print("weights", result.weights_sha256, result.architecture.macs, result.exact, flush=True)


def dataset_of(photos: Path) -> DatasetSpec:
    return find_dataset(str(photos))


def attempt(photos: Path, out: Path, killed_in: Phase | None) -> tuple[Mapping[str, str], int]:
    """Run one attempt, killed once it is in a phase; what it said at its end, and its largest memory in bytes."""
    command = [sys.executable, "-m", "benchmarks.killed_in_every_phase", "--photos", str(photos), "--out", str(out)]
    said, peak_bytes = out / f"said-{killed_in}", 0
    with said.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        while process.poll() is None:
            peak_bytes = max(peak_bytes, _memory_bytes(process.pid))
            if killed_in in said.read_text().splitlines():
                time.sleep(KILL_AFTER_S)
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(LOOK_S)
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in said.read_text().splitlines()}, peak_bytes


def _memory_bytes(pid: int) -> int:
    """Memory of its own of a process and all that it started; shared pages count once for each."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="run one attempt on these, without being killed")
    options = parser.parse_args()
    if options.photos is not None:
        search(options.photos, options.out)
        return
    photos = options.out / "photos"
    write_photos(photos)
    found, peaks = {}, []
    for name, kills in (("killed", [*PHASES, None]), ("whole", [None])):
        (options.out / name).mkdir()
        started = time.monotonic()
        for phase in kills:
            ended, peak_bytes = attempt(photos, options.out / name, phase)
            peaks.append(peak_bytes)
            print(f"{name}, killed in {phase}: up to {peak_bytes / 2**30:.2f} GiB", flush=True)
        found[name] = ended.get("weights")
        print(f"{name}: {found[name]} after {time.monotonic() - started:.0f} s", flush=True)
    equal = found["killed"] is not None and found["killed"] == found["whole"]
    print(f"equal weights: {equal}; largest memory {max(peaks) / 2**30:.2f} GiB")
    sys.exit(not equal)


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else []


def _write(path: Path, text: str) -> None:
    path.write_text(text)


if __name__ == "__main__":
    main()
