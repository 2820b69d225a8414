"""How long a search would take on this machine, from a short run of the same configuration on generated images.

The short run does all that the search does, on few images and for one epoch of everything. What each phase computed in
it per second, counted in image-MACs as `run/pace.py` does, is what it is taken to compute per second in the search.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from autonl_core.datasets.scan import find_dataset
from autonl_core.errors import SpaceError
from autonl_core.run.host_options import HostOptions
from autonl_core.run.pace import WorkPlan
from autonl_core.search import run_search
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.progress import Phase, Silent
from autonl_core.spec.space_families import get_space, spaces_made_for

COMPUTING: tuple[Phase, ...] = ("searching", "deriving", "training")


@dataclass(frozen=True)
class Size:
    """What a search works on. `images`: those to train on, validation images among them."""

    images: int
    test_images: int
    classes: int


@dataclass(frozen=True)
class PhaseEstimate:
    """One phase: seconds that it takes, and the image-MACs and their rate where they decide.

    `macs` and `macs_per_s` are 0 for a phase whose time goes by images.
    """

    phase: Phase
    seconds: float
    macs: float = 0.0
    macs_per_s: float = 0.0


def estimate(config: SearchConfig, size: Size, images: int, device: str = "cpu") -> tuple[PhaseEstimate, ...]:
    """The phases of a search of `config` on a dataset of this size, from a run on so many generated images.

    Raises:
        SpaceError: `config` states no resolution, or starts from pretrained weights, whose plan depends on them.
        AutonlError: the short run fails; see `search.run_search`.
    """
    if config.resolution is None or config.init != NO_INIT:
        raise SpaceError("an estimate needs a search with a `resolution` and with `init: none`; set both in its file")
    short = short_form(config, images)
    with tempfile.TemporaryDirectory(prefix="autonl-estimate-") as folder:
        photos = Path(folder, "photos")
        write_images(photos, images, config.resolution)
        dataset, silent, work = find_dataset(str(photos)), Silent(), Path(folder, "work")
        work.mkdir()
        result = run_search(short, dataset, work, sink=silent, stop=silent, host=HostOptions(device=device))
    measured_size = Size(dataset.train_images, dataset.test_images, len(dataset.classes))
    largest_macs = resolve_space(short, dataset).macs_range()[1]
    return scaled_up(result.seconds_by_phase, plan_of(short, measured_size, largest_macs), measured_size, config, size)


def scaled_up(
    seconds: Mapping[str, float], measured: WorkPlan, measured_size: Size, config: SearchConfig, size: Size
) -> tuple[PhaseEstimate, ...]:
    """What `seconds` by phase of a search with the plan `measured` say of `config` on a dataset of `size`."""
    assert config.resolution is not None
    name = config.search_space or spaces_made_for(config.resolution)[0].name
    whole = plan_of(config, size, get_space(name, config.resolution, size.classes).macs_range()[1]).by_phase
    found = []
    for phase in COMPUTING:
        rate = measured.by_phase[phase] / max(seconds.get(phase, 0.0), 1e-9)
        found.append(PhaseEstimate(phase, whole[phase] / rate, whole[phase], rate))
    all_images = (size.images + size.test_images) / (measured_size.images + measured_size.test_images)
    first = PhaseEstimate("preparing", seconds["preparing"] * all_images)
    evaluating = seconds["evaluating"] * size.test_images / measured_size.test_images
    scored_files = 1 + len(config.export.formats)  # each scores all test images once more; the rest is constant
    exporting = seconds["exporting"] + scored_files * max(0.0, evaluating - seconds["evaluating"])
    return first, *found, PhaseEstimate("evaluating", evaluating), PhaseEstimate("exporting", exporting)


def plan_of(config: SearchConfig, size: Size, largest_macs: int) -> WorkPlan:
    """All work of `config` on a dataset of `size`, in a space whose largest network has `largest_macs`."""
    return WorkPlan(config, largest_macs, size.images - round(config.val_fraction * size.images), size.images)


def short_form(config: SearchConfig, images: int) -> SearchConfig:
    """The same search with one epoch of everything, and batches of which the images make a few."""
    batch = max(2, min(config.train.batch_size, images // 8))
    supernet = {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 2, "finalist_epochs": 1}
    return config.model_copy(
        update={
            "dataset": "photos",
            "val_fraction": 0.2,
            "baselines": (),
            "flops_budgets": (),
            "repeat": 1,
            "supernet": config.supernet.model_copy(update={**supernet, "batch_size": batch}),
            "train": config.train.model_copy(update={"epochs": 1, "warmup_epochs": 0, "batch_size": batch}),
        }
    )


def write_images(folder: Path, images: int, pixels: int) -> None:
    """Smooth pictures in two classes, each with a colour of its own, a quarter wider than high."""
    for number in range(images):
        label = number % 2
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 160, (5, 6, 3)).astype(np.uint8)
        coarse[..., label] //= 3
        path = folder / f"class{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((pixels * 5 // 4, pixels), Image.Resampling.BICUBIC).save(path)
