"""The images of a dataset: which split and class each belongs to, and how many a class needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autonl_core.datasets.layout import Layout, Split
from autonl_core.datasets.splits import stratified_draw

TEST_FRACTION = 0.2  # of a dataset whose folders define no splits
MIN_IMAGES: Mapping[Split, int] = {"train": 2, "test": 1}  # per class; a search validates on one of the training images
NEEDED_PER_CLASS = f"at least {MIN_IMAGES['train']} training images and {MIN_IMAGES['test']} test image"


@dataclass(frozen=True)
class Item:
    """One image: its split, the index of its class, and its name within the dataset.

    Images of equal `group` show the same picture and must stay in one split; None: no other image shows its picture.
    """

    split: Split
    label: int
    member: str
    group: int | None = None


@dataclass(frozen=True)
class ClassCount:
    """How many images a class has in each split."""

    label: int
    name: str
    train: int
    test: int

    def missing_splits(self) -> list[tuple[Split, int]]:
        """The splits with fewer images than `MIN_IMAGES`, and how many they have."""
        counts: dict[Split, int] = {"train": self.train, "test": self.test}
        return [(split, counts[split]) for split, least in MIN_IMAGES.items() if counts[split] < least]


def split_items(layout: Layout, groups: Mapping[str, int] | None = None) -> list[Item]:
    """All images of a layout, sorted by name. Where folders define no splits, draw a test split that divides no group.

    The seed is fixed: every search on the dataset uses the same test images.
    """
    groups = groups or {}
    labels = [label for _, label in layout.images.values()]
    numbers = [groups.get(member) for member in layout.images]
    drawn = set() if layout.is_split else stratified_draw(labels, TEST_FRACTION, 0, numbers)
    items = []
    for index, (member, (given, label)) in enumerate(layout.images.items()):
        split: Split = given or ("test" if index in drawn else "train")
        items.append(Item(split, label, member, numbers[index]))
    return items


def count_by_class(classes: Sequence[str], items: Iterable[Item]) -> list[ClassCount]:
    """The images of every class, in the order of `classes`."""
    counts = Counter((item.label, item.split) for item in items)
    return [
        ClassCount(label, name, counts[label, "train"], counts[label, "test"]) for label, name in enumerate(classes)
    ]
