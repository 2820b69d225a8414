"""Assign each image a class, and a split if folders define one, by the folders it is in.

Two layouts are supported: `train/CLASS/` and `test/CLASS/` (optionally `val/CLASS/`, whose images join the training
images), or one level of class folders. Folders that wrap all of that are skipped; images outside class folders are not
used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from autonl_core.datasets.limits import Limits
from autonl_core.errors import DatasetError

Split = Literal["train", "test"]
Parts = tuple[str, ...]  # the components of a name

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
SPLIT_FOLDERS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
    "testing": "test",
}
EXPECTED_LAYOUT = "CLASS/image, or train/CLASS/image and test/CLASS/image"


@dataclass(frozen=True)
class Layout:
    """Class names in order, and every usable image by name, with its split, if folders define one, and its label."""

    classes: tuple[str, ...]
    images: Mapping[str, tuple[Split | None, int]]
    outside: tuple[str, ...] = ()  # images outside class folders
    wrapping: str = ""  # the folders around everything, ending with /
    validation: tuple[str, ...] = ()  # folders whose images join the training images

    @property
    def is_split(self) -> bool:
        """Whether folders define the splits."""
        return any(split is not None for split, _ in self.images.values())


@dataclass(frozen=True)
class _Tree:
    """Images below the first folder that is not just a wrapper, by name; `depth` counts the wrappers."""

    images: Mapping[str, Parts]
    depth: int
    tops: frozenset[str]  # the folders at `depth`
    nested: frozenset[str]  # those of them that have folders inside

    @property
    def splits(self) -> Mapping[str, Split]:
        """The folders at `depth` that are named like a split."""
        return {top: SPLIT_FOLDERS[top.lower()] for top in self.tops if top.lower() in SPLIT_FOLDERS}


def is_image_name(name: str) -> bool:
    """Whether a name has an image suffix. Whether it is an image depends on its content."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def parts_of(name: str) -> Parts:
    """The components of a name, without empty ones and `.`."""
    return tuple(part for part in name.split("/") if part not in ("", "."))


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a file is hidden or was written by macOS: it is not used."""
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def read_layout(names: Iterable[str], where: str, limits: Limits) -> Layout:
    """Arrange the image files among `names`; `where` is what messages call the dataset.

    Raises:
        DatasetError: no images, no class folders, fewer than two classes, too many classes, a class name that cannot
            be shown, or a mix of both layouts.
    """
    images = _parse(names)
    if not images:
        raise DatasetError(f"{where} has no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    tree = _unwrap(images)
    _require_one_layout(tree, where)
    placed = _place(tree)
    _require_classes({name for _, name in placed.values()}, where, limits)
    return _build(images, tree, placed)


def _parse(names: Iterable[str]) -> dict[str, Parts]:
    """The visible image files among `names`, sorted, with their components."""
    parts = {name: parts_of(name) for name in sorted(names) if is_image_name(name)}
    return {name: p for name, p in parts.items() if not is_hidden(p)}


def _unwrap(images: Mapping[str, Parts]) -> _Tree:
    """Skip folders that contain everything, unless they are splits or classes. Images beside one are dropped."""
    depth = 0
    while True:
        images = {name: parts for name, parts in images.items() if len(parts) >= depth + 2}
        tops = frozenset(parts[depth] for parts in images.values())
        nested = frozenset(parts[depth] for parts in images.values() if len(parts) >= depth + 3)
        tree = _Tree(images, depth, tops, nested)
        if len(tops) != 1 or not nested or tree.splits:
            return tree
        depth += 1


def _require_one_layout(tree: _Tree, where: str) -> None:
    """Class folders beside split folders are ambiguous. A `train` folder without folders inside is a class."""
    splits, others = tree.splits.keys(), sorted(tree.tops - tree.splits.keys())
    if others and tree.nested & splits:
        raise DatasetError(
            f"{where} has class folders in {', '.join(sorted(splits))}, but also {', '.join(map(repr, others[:5]))} "
            "next to them; a dataset is either split into train and test, or one level of class folders"
        )


def _place(tree: _Tree) -> dict[str, tuple[Split | None, str]]:
    """Split, if folders define it, and class of every image in a class folder."""
    splits, depth = tree.splits, tree.depth
    if tree.tops == splits.keys():
        nested = {name: parts for name, parts in tree.images.items() if len(parts) >= depth + 3}
        return {name: (splits[parts[depth]], parts[depth + 1]) for name, parts in nested.items()}
    return {name: (None, parts[depth]) for name, parts in tree.images.items()}


def _require_classes(classes: set[str], where: str, limits: Limits) -> None:
    if not classes:
        raise DatasetError(f"{where} has no class folders: expected {EXPECTED_LAYOUT}")
    if len(classes) < 2:
        raise DatasetError(f"{where} has one class, {min(classes)!r}; a classifier needs at least 2 class folders")
    if len(classes) > limits.classes:
        raise DatasetError(f"{where} has {len(classes):,} class folders; at most {limits.classes:,} are allowed")
    for name in sorted(classes):
        if not name.isprintable():  # control characters, and bytes that are not UTF-8
            raise DatasetError(f"{where} has a class folder named {name!r}; rename it to printable characters")


def _build(images: Mapping[str, Parts], tree: _Tree, placed: Mapping[str, tuple[Split | None, str]]) -> Layout:
    classes = tuple(sorted({name for _, name in placed.values()}))
    labels = {name: label for label, name in enumerate(classes)}
    used_splits = {images[name][tree.depth] for name, (split, _) in placed.items() if split is not None}
    wrappers = next(iter(tree.images.values()))[: tree.depth]
    return Layout(
        classes=classes,
        images={name: (split, labels[class_name]) for name, (split, class_name) in placed.items()},
        outside=tuple(name for name in images if name not in placed),
        wrapping="".join(f"{part}/" for part in wrappers),
        validation=tuple(sorted(top for top in used_splits if top.lower().startswith("val"))),
    )
