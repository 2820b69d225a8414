"""Small datasets for tests: scikit-learn's digits as class folders in a zip, with true or shuffled labels."""

from __future__ import annotations

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

PER_CLASS = 100


def read_members(spec: DatasetSpec, members: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of files of a dataset, in order."""
    with open_source(Path(spec.location), kind=spec.kind) as files:
        for member in members:
            yield member, files.read(member)


def digits_zip(path: Path, *, shuffled: bool = False) -> DatasetSpec:
    """A thousand digits; `shuffled` assigns the same images to random classes."""
    digits = load_digits()
    chosen = [i for label in range(10) for i in np.flatnonzero(digits.target == label)[:PER_CLASS]]
    labels = [int(digits.target[i]) for i in chosen]
    if shuffled:
        random.Random(0).shuffle(labels)
    with zipfile.ZipFile(path, "w") as archive:
        for index, label in zip(chosen, labels, strict=True):
            buffer = io.BytesIO()
            Image.fromarray((digits.images[index] * 15.9375).astype(np.uint8)).save(buffer, "png")
            archive.writestr(f"{label}/{index:04d}.png", buffer.getvalue())
    return scan(path.stem, path)
