"""Which class, and which split if folders say so, each image belongs to, by the folders it lies in.

Understood are `train/CLASS/` and `test/CLASS/` (optionally `val/CLASS/`, whose images join the training ones), or one
level of class folders. Folders around all of that are tolerated; images outside class folders are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from autonl_core.datasets.limits import Limits
from autonl_core.errors import DatasetError

Split = Literal["train", "test"]

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


@dataclass(frozen=True)
class Layout:
    """Class names, sorted, and every image that counts, by name: the split its folder says, if any, and its label."""

    classes: tuple[str, ...]
    images: Mapping[str, tuple[Split | None, int]]
    outside: tuple[str, ...] = ()  # images in no class folder
    wrapping: str = ""  # the folder that everything lies in
    validation: tuple[str, ...] = field(default=())  # folders of images that join the training ones

    @property
    def is_split(self) -> bool:
        """Whether folders divide the images."""
        return any(split is not None for split, _ in self.images.values())


def is_image_name(name: str) -> bool:
    """By its suffix; what is in it, only its bytes tell."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def parts_of(name: str) -> tuple[str, ...]:
    """The components of a name, without those that mean nothing."""
    return tuple(part for part in name.split("/") if part not in ("", "."))


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether an operating system, not a person, put the file there: it is left out."""
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def read_layout(names: Iterable[str], where: str, limits: Limits) -> Layout:
    """Arrange the image files among `names`; `where` is what messages call the data set.

    Raises:
        DatasetError: no images, no class folders, fewer than two classes, or too many, or two layouts at once.
    """
    parts = {name: parts_of(name) for name in sorted(names) if is_image_name(name)}
    parts = {name: p for name, p in parts.items() if not is_hidden(p)}
    if not parts:
        raise DatasetError(f"{where} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    deep = {name: p for name, p in parts.items() if len(p) >= 2}
    wrapping, placed = _place(deep, where)
    if not placed:
        raise DatasetError(
            f"{where} has no class folders: expected CLASS/image or train/CLASS/image and test/CLASS/image"
        )
    classes = tuple(sorted({name for _, name in placed.values()}))
    if len(classes) < 2:
        raise DatasetError(f"{where} has one class, {classes[0]!r}; a classifier needs at least 2 class folders")
    if len(classes) > limits.classes:
        raise DatasetError(f"{where} has {len(classes):,} class folders; at most {limits.classes:,} are allowed")
    for name in classes:
        if not name.isprintable():  # control characters, and bytes that are not UTF-8
            raise DatasetError(f"{where} has a class folder named {name!r}; rename it to printable characters")
    numbers = {name: number for number, name in enumerate(classes)}
    depth = len(parts_of(wrapping))
    tops = {parts[name][depth] for name, (split, _) in placed.items() if split is not None}
    return Layout(
        classes=classes,
        images={member: (split, numbers[name]) for member, (split, name) in placed.items()},
        outside=tuple(name for name in parts if name not in placed),
        wrapping=wrapping,
        validation=tuple(sorted(top for top in tops if top.lower().startswith("val"))),
    )


def _place(
    parts: Mapping[str, tuple[str, ...]], where: str, wrapping: str = ""
) -> tuple[str, dict[str, tuple[Split | None, str]]]:
    """The wrapping folder; then split, where folders say it, and class of every image that lies in a class folder."""
    parts = {member: p for member, p in parts.items() if len(p) >= 2}
    tops = {p[0] for p in parts.values()}
    splits = {top: SPLIT_FOLDERS[top.lower()] for top in tops if top.lower() in SPLIT_FOLDERS}
    nested = {p[0] for p in parts.values() if len(p) >= 3}
    if len(tops) == 1 and nested and not splits:
        (top,) = tops
        return _place({member: p[1:] for member, p in parts.items()}, where, f"{wrapping}{top}/")
    if tops == splits.keys():
        return wrapping, {member: (splits[p[0]], p[1]) for member, p in parts.items() if len(p) >= 3}
    if nested & splits.keys():  # but images right in train/ make it a class, of vehicles perhaps
        others = ", ".join(repr(top) for top in sorted(tops - splits.keys())[:5])
        raise DatasetError(
            f"{where} has class folders below {', '.join(sorted(splits))}, and beside them {others}; "
            "a data set is either split into train and test, or one level of class folders"
        )
    return wrapping, {member: (None, p[0]) for member, p in parts.items()}
