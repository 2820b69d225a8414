"""What the first phase opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from autonl_core.data.views import ViewLoader
from autonl_core.datasets.scan import find_dataset
from autonl_core.phases.preparing import open_run
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import AugmentConfig
from autonl_core.spec.progress import Silent


@pytest.mark.long
@pytest.mark.parametrize("whole", [False, True])
def test_crops_are_cut_from_whole_pictures_if_that_is_asked_for(whole: bool, tmp_path: Path) -> None:
    """The pictures are wide: black in their centre squares, white beside them."""
    wide = np.zeros((32, 96, 3), dtype=np.uint8)
    wide[:, :32] = wide[:, 64:] = 255
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            marked = wide.copy()
            marked[0, :, 0] = 10 * number + (label == "b")  # or they would be copies
            Image.fromarray(marked).save(tmp_path / "photos" / label / f"{number}.png")
    augment = AugmentConfig(whole_pictures=whole, resized_crop_min_scale=0.3)
    config = SearchConfig(dataset="photos", flops_budget=400_000, search_space="tiny", resolution=8, augment=augment)
    run = open_run(
        config,
        find_dataset(str(tmp_path / "photos")),
        tmp_path / "work",
        sink=Silent(),
        stop=Silent(),
        resume_from=[],
        host=HostOptions(),
        cache_dir=tmp_path / "cache",
        dataset_report=None,
    )
    x, _ = next(iter(run.loader.epoch(run.data.train, "train", 0, len(run.data.train))))
    deviation, mean = (torch.tensor(values).view(1, -1, 1, 1) for values in (run.data.std, run.data.mean))
    assert isinstance(run.loader, ViewLoader) is whole
    assert bool((x * deviation + mean > 0.7).any()) is whole
