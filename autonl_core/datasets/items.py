"""The images of a dataset: which split and class each belongs to, and how many a class needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autonl_core.datasets.layout import Layout, Split
from autonl_core.datasets.splits import is_like, stratified_draw, united

TEST_FRACTION = 0.2  # of a dataset whose folders define no splits
MIN_IMAGES: Mapping[Split, int] = {"train": 2, "test": 1}  # per class; a search validates on one of the training images
NEEDED_PER_CLASS = f"at least {MIN_IMAGES['train']} training images and {MIN_IMAGES['test']} test image"

Groups = Sequence[int | None]


@dataclass(frozen=True)
class Item:
    """One image: its split, the index of its class, and its name within the dataset.

    Images of equal `group` show the same picture, or are of one patient or the like, and must stay in one split; None:
    no other image belongs to it.
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

    def to_json(self) -> dict[str, str | int]:
        """As reports of dataset checks have it."""
        return {"name": self.name, "train": self.train, "test": self.test}


def split_items(layout: Layout, pictures: Mapping[str, int] | None = None) -> list[Item]:
    """All images of a layout, sorted by name. Where folders define no splits, draw a test split that divides no group.

    Groups are the images that show the same picture, by number in `pictures`, and those of one patient or the like if
    a table names them, as long as every class gets about its share of the test images, and of validation images later.
    The seed is fixed: every search on the dataset uses the same test images.
    """
    labels = [label for _, label in layout.images.values()]
    alike = [(pictures or {}).get(member) for member in layout.images]
    united_by = [
        united(alike, [grouping.values.get(member) for member in layout.images]) for grouping in layout.groupings
    ]
    if layout.is_split:
        tested = {index for index, (split, _) in enumerate(layout.images.values()) if split == "test"}
    else:
        groups = next((groups for groups in united_by if _divides_fairly(labels, groups, alike)), alike)
        tested = stratified_draw(labels, TEST_FRACTION, 0, groups)
        united_by = [groups]
    groups = next((groups for groups in united_by if _can_validate(labels, groups, alike, tested)), alike)
    return [
        Item("test" if index in tested else "train", label, member, groups[index])
        for index, (member, (_, label)) in enumerate(layout.images.items())
    ]


def _divides_fairly(labels: Sequence[int], groups: Groups, alike: Groups) -> bool:
    """Whether a draw that divides none of `groups` takes about as many images of every class as one of `alike` does."""
    usual, drawn = (stratified_draw(labels, TEST_FRACTION, 0, numbers) for numbers in (alike, groups))
    return is_like(drawn, usual, labels, MIN_IMAGES["train"])


def _can_validate(labels: Sequence[int], groups: Groups, alike: Groups, tested: set[int]) -> bool:
    """Whether validation images can be drawn from the training images without dividing a group."""
    rows = [index for index in range(len(labels)) if index not in tested]
    return _divides_fairly([labels[row] for row in rows], [groups[row] for row in rows], [alike[row] for row in rows])


def count_by_class(classes: Sequence[str], items: Iterable[Item]) -> list[ClassCount]:
    """The images of every class, in the order of `classes`."""
    counts = Counter((item.label, item.split) for item in items)
    return [
        ClassCount(label, name, counts[label, "train"], counts[label, "test"]) for label, name in enumerate(classes)
    ]


def too_few_images(classes: Sequence[str], items: Iterable[Item]) -> list[str]:
    """The classes with fewer images than `MIN_IMAGES` in a split, with what they have and need, as errors name them."""
    return [
        f"{count.name!r} ({split}: {images} of {MIN_IMAGES[split]})"
        for count in count_by_class(classes, items)
        for split, images in count.missing_splits()
    ]
