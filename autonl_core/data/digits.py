"""The built-in dataset as a zip archive, so that it is read like any other."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from autonl_core.datasets.items import TEST_FRACTION, Item
from autonl_core.datasets.layout import Split
from autonl_core.datasets.splits import stratified_draw

DIGITS_ARCHIVE = "digits.zip"
DIGITS_SOURCE = "zip"  # the data source that reads it


def write_digits(path: Path) -> list[Item]:
    """Write the 1,797 digits of scikit-learn, 8x8 with 17 grey levels; a fifth of each class is the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = [int(label) for label in digits.target]
    tested = stratified_draw(labels, TEST_FRACTION, seed=0)
    items = []
    with zipfile.ZipFile(path, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images, labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(np.round(pixels * (255 / 16)).astype(np.uint8)).save(buffer, "png")
            archive.writestr(f"digit-{index:04d}", buffer.getvalue())
            split: Split = "test" if index in tested else "train"
            items.append(Item(split, label, f"digit-{index:04d}"))
    return items
