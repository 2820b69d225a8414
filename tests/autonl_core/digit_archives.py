"""Small datasets for tests: scikit-learn's digits as class folders in a zip, with true or shuffled labels.

`FEW_DIGITS_ZIP` is what `digits_zip(FEW_DIGITS_ZIP, per_class=40)` wrote: enough to go through every phase of a search.
"""

from __future__ import annotations

import functools
import io
import random
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from autonl_core.datasets.scan import scan
from autonl_core.datasets.sources import open_source
from autonl_core.datasets.spec import DatasetSpec

FEW_DIGITS_ZIP = Path(__file__).parents[1] / "data" / "few-digits.zip"


def read_members(spec: DatasetSpec, members: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of files of a dataset, in order."""
    with open_source(Path(spec.location), kind=spec.kind) as files:
        for member in members:
            yield member, files.read(member)


@functools.cache
def few_digits() -> DatasetSpec:
    """Four hundred digits."""
    return scan("few-digits", FEW_DIGITS_ZIP)


def digits_zip(path: Path, *, per_class: int = 100, shuffled: bool = False) -> DatasetSpec:
    """The first digits of each class; `shuffled` assigns the same images to random classes."""
    digits = load_digits()
    chosen = [i for label in range(10) for i in np.flatnonzero(digits.target == label)[:per_class]]
    labels = [int(digits.target[i]) for i in chosen]
    if shuffled:
        random.Random(0).shuffle(labels)
    with zipfile.ZipFile(path, "w") as archive:
        for index, label in zip(chosen, labels, strict=True):
            buffer = io.BytesIO()
            Image.fromarray((digits.images[index] * 15.9375).astype(np.uint8)).save(buffer, "png")
            archive.writestr(zipfile.ZipInfo(f"{label}/{index:04d}.png"), buffer.getvalue())
    return scan(path.stem, path)
