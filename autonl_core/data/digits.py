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
    """Write the 1,797 digits of scikit-learn, 8x8 with 17 grey levels; returns them as `list_digits` does."""
    rows = _rows()
    items = _items(rows)
    with zipfile.ZipFile(path, "w") as archive:
        for pixels, item in zip(rows[:, :-1], items, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(np.round(pixels * (255 / 16)).astype(np.uint8).reshape(8, 8)).save(buffer, "png")
            archive.writestr(item.member, buffer.getvalue())
    return items


def list_digits() -> list[Item]:
    """The digits without their pixels, in the order of the archive; a fifth of each class is the test split."""
    return _items(_rows())


def _items(rows: NDArray[np.float64]) -> list[Item]:
    labels = [int(row[-1]) for row in rows]
    tested = stratified_draw(labels, TEST_FRACTION, seed=0)
    splits: list[Split] = ["test" if index in tested else "train" for index in range(len(labels))]
    return [Item(splits[index], label, f"digit-{index:04d}") for index, label in enumerate(labels)]


def _rows() -> NDArray[np.float64]:
    """(1797, 65): pixels from 0 to 16, then the label; from the file that scikit-learn's own reader reads.

    That reader would load all of scikit-learn, which takes as long as loading torch.
    """
    package = importlib.util.find_spec("sklearn")  # finds it, and loads nothing
    assert package is not None
    assert package.origin is not None
    return np.loadtxt(Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz", delimiter=",")
