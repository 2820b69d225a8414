"""A small archive with both splits, for tests of the quick and full tier."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.autonl_core.data.picture_zips import encoded, noise

TRAIN, TEST = 20, 5  # images of each class
CLASSES = ("a", "b")


def split_zip(path: Path) -> Path:
    """Classes `a` and `b` of 32 pixels, 20 training and 5 test images each."""
    with zipfile.ZipFile(path, "w") as archive:
        for split, count in (("train", TRAIN), ("test", TEST)):
            for place, label in enumerate(CLASSES):
                for n in range(count):
                    seed = 1_000 * place + 100 * (split == "test") + n
                    archive.writestr(f"{split}/{label}/{n:02d}.png", encoded(noise(32, 32, seed)))
    return path
