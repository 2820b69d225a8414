"""The built-in dataset as a zip archive, so that it is read like any other."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autonl_core.datasets.items import TEST_FRACTION, Item
from autonl_core.datasets.layout import Split
from autonl_core.datasets.splits import stratified_draw

DIGITS_ARCHIVE = "digits.zip"
DIGITS_SOURCE = "zip"  # the data source that reads it


def write_digits(path: Path) -> list[Item]:
    """Write the 1,797 digits of scikit-learn, 8x8 with 17 grey levels; a fifth of each class is the test split."""
    rows = _rows()
    labels = [int(row[-1]) for row in rows]
    tested = stratified_draw(labels, TEST_FRACTION, seed=0)
    items = []
    with zipfile.ZipFile(path, "w") as archive:
        for index, (pixels, label) in enumerate(zip(rows[:, :-1], labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(np.round(pixels * (255 / 16)).astype(np.uint8).reshape(8, 8)).save(buffer, "png")
            archive.writestr(f"digit-{index:04d}", buffer.getvalue())
            split: Split = "test" if index in tested else "train"
            items.append(Item(split, label, f"digit-{index:04d}"))
    return items


def _rows() -> NDArray[np.float64]:
    """(1797, 65): pixels from 0 to 16, then the label; from the file that scikit-learn's own reader reads.

    That reader would load all of scikit-learn, which takes as long as loading torch.
    """
    package = importlib.util.find_spec("sklearn")  # finds it, and loads nothing
    assert package is not None
    assert package.origin is not None
    return np.loadtxt(Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz", delimiter=",")
