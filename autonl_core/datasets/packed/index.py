"""The images in packed files, by the names that they would have in a folder: `SPLIT/CLASS/KEY.png`.

So a dataset in packed files is read, ordered, split and named as the same images in a folder are. A split is what the
folder or the name of a packed file says (`val/000000.tar`, `train-000000.tar`), a class what a label says.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from autonl_core.datasets.layouts.split_names import Part, split_part
from autonl_core.datasets.names import parts_of
from autonl_core.datasets.packed.places import PackedFile
from autonl_core.errors import DatasetError

_FOLDERS: Mapping[Part, str] = {"train": "train", "validation": "val", "test": "test"}
_NUMBERS = re.compile(r"(?:[-_. ]*\d+|[-_. ]+of)+$")  # at the end of the name of a packed file
_WORD_BREAK = re.compile(r"[-_. ]+")


class Place(NamedTuple):
    """Where an image is: the number of its packed file, an offset or a row in it, and its length in bytes."""

    file: int
    at: int
    size_bytes: int


class Index(Mapping[str, str]):
    """Marks of the images by name, about 200 bytes each, and where they are."""

    def __init__(self, files: tuple[PackedFile, ...]) -> None:
        self.files = files
        self._rows: dict[str, int] = {}
        self._numbers, self._at, self._sizes = array("l"), array("q"), array("q")

    def add(self, name: str, place: Place) -> None:
        """Raises DatasetError if the name was added before."""
        row = self._rows.setdefault(name, len(self._at))
        if row != len(self._at):
            first, second = self.files[self._numbers[row]].name, self.files[place.file].name
            raise DatasetError(
                f"member {name[:200]!r} appears twice, in {first!r} and {second!r}; give every image a name of its own"
            )
        self._numbers.append(place.file)
        self._at.append(place.at)
        self._sizes.append(place.size_bytes)

    def place(self, name: str) -> Place | None:
        row = self._rows.get(name)
        return None if row is None else Place(self._numbers[row], self._at[row], self._sizes[row])

    def __getitem__(self, name: str) -> str:
        row = self._rows[name]
        return f"{self._sizes[row]}-{self.files[self._numbers[row]].tag}-{self._at[row]}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def split_folder(name: str) -> str:
    """The folder of the split that a packed file belongs to, by its folder or its name; empty if neither says one."""
    *folders, last = parts_of(name)
    if folders and split_part(folders[0]) is not None:
        return folders[0]
    stem = _NUMBERS.sub("", last[: last.rfind(".")])
    words = [word for word in _WORD_BREAK.split(stem) if word]
    candidates = (stem, *words[:1], *words[-1:])
    part = next((part for part in map(split_part, candidates) if part is not None), None)
    return _FOLDERS[part] if part is not None else ""


def image_name(split: str, class_folder: str, member: str) -> str:
    """The name of an image in the folder that the dataset stands for, which has each folder once."""
    folders = [folder for folder in (split, class_folder) if folder]
    rest = list(parts_of(member))
    for folder in folders:
        if len(rest) > 1 and rest[0] == folder:
            rest.pop(0)
    return "/".join((*folders, *rest))
