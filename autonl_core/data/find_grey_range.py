"""The range of grey levels of a dataset that no check has looked at: one that is read from a folder or an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from autonl_core.data.build import sampled_training_rows
from autonl_core.data.grey_levels import common_range, is_deep, range_of_image
from autonl_core.data.listing import ListedFiles, list_files
from autonl_core.datasets.image_files import read_opened
from autonl_core.datasets.items import Item
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.scan import list_items
from autonl_core.datasets.spec import DatasetSpec, GreyRange

_PLAIN_JPEG = b"\xff\xd8"  # never deep, and most images there are


def with_grey_range(dataset: DatasetSpec, limits: Limits = DEFAULT_LIMITS) -> DatasetSpec:
    """The dataset with the range that its deep training images need; as it is if a check has looked at it.

    Without deep training images, test images count. Of many images, an evenly spread sample is opened.

    Raises:
        DatasetError: the files are missing or changed.
    """
    if dataset.is_builtin or dataset.manifest or dataset.grey_range is not None:
        return dataset
    items = list_items(dataset, limits)
    train = sampled_training_rows(items)
    test = [row for row, item in enumerate(items) if item.split == "test"]
    for rows in (train, test):
        if (found := _range_of([items[row] for row in rows], dataset, limits)) is not None:
            return replace(dataset, grey_range=found)
    return dataset


def _range_of(items: Sequence[Item], dataset: DatasetSpec, limits: Limits) -> GreyRange | None:
    listing = list_files(dataset.kind, Path(dataset.location), [item.member for item in items], limits)
    files = ListedFiles(listing, limits)
    ranges, labels = [], []
    for row, item in enumerate(items):
        if (found := _range_of_file(files.read(row), limits)) is not None:
            ranges.append(found)
            labels.append(item.label)
    return common_range(ranges, labels)


def _range_of_file(data: bytes, limits: Limits) -> GreyRange | None:
    """None unless the image is deep; unreadable ones are reported when they are decoded."""
    if data.startswith(_PLAIN_JPEG):
        return None
    try:
        return read_opened(data, limits, _range_if_deep)[0]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (decoders raise anything on damaged bytes)
        return None


def _range_if_deep(image: Image.Image) -> GreyRange | None:
    return range_of_image(image) if is_deep(image) else None
