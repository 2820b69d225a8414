"""Tiny whole searches that start from pretrained weights, on a few of the example's photographs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from autonl_core.datasets.scan import scan
from autonl_core.datasets.spec import DatasetSpec

CLOTHING = Path(__file__).parents[2] / "examples" / "clothing.zip"
CLASSES = ("hat", "pants", "shoes")
TRAIN, TEST = 8, 4  # images of a class
FROM_PRETRAINED: dict[str, Any] = {
    "init": "efficientnet-lite0",
    "search_space": "lite",
    "flops_budget": "32M",
    "resolution": 64,
    "val_fraction": 0.25,
    "teacher": {"epochs": 1, "batch_size": 8, "resolution": 64},
    "supernet": {"epochs": 1, "batch_size": 8, "candidates": 2, "generations": 0, "finalists": 1, "lr": 0.001},
    "train": {"epochs": 1, "batch_size": 8, "optimizer": "adamw", "lr": 0.002, "ema_decay": 0.9, "weights": "inherit"},
}


def few_photos(folder: Path) -> DatasetSpec:
    """The first images of three classes, as an archive in `folder`."""
    path = folder / "photos.zip"
    with zipfile.ZipFile(CLOTHING) as whole, zipfile.ZipFile(path, "w") as part:
        for split, count in (("train", TRAIN), ("test", TEST)):
            for name in CLASSES:
                files = [file for file in whole.namelist() if file.startswith(f"{split}/{name}/") and file[-1] != "/"]
                for file in files[:count]:
                    part.writestr(file, whole.read(file))
    return scan("photos", path)
