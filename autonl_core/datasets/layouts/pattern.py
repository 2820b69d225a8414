"""A layout in words: which folder names the split and which the class, such as `SPLIT/CLASS` or `*/CLASS`.

Components are matched from the outermost folder inwards: `SPLIT` is a folder named like a split, `CLASS` names the
class, `*` is any folder, and anything else is a folder of that name. Folders below the last component belong to the
class. Two `CLASS` components name the class together. `CLASS_NUMBER`, at the end, takes the class from the name of the
file: `cat_001.jpg`.
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple, Self

from autonl_core.datasets.layouts.split_names import Part, split_part
from autonl_core.datasets.names import Parts
from autonl_core.errors import DatasetError

CLASS, SPLIT, ANY, CLASS_NUMBER = "CLASS", "SPLIT", "*", "CLASS_NUMBER"
JOINT = "/"  # between the folders that name a class together
MAX_LENGTH = 1_000
_SPACE = string.whitespace  # of ASCII: folders may be named with any other
HELP = (
    "such as CLASS, SPLIT/CLASS, */CLASS or photos/CLASS: one component per folder, where SPLIT is a folder named like "
    "train or test, CLASS names the class, * is any folder, and anything else is a folder of that name; at the end "
    "CLASS_NUMBER takes the class from names like cat_001.jpg"
)
_NUMBERED = re.compile(r"(.*?[^\W\d])[\s._()#-]*\d+[\s._()#-]*(?:copy)?")


class Place(NamedTuple):
    """Where an image belongs."""

    part: Part | None
    class_name: str


@dataclass(frozen=True)
class Pattern:
    """A layout of folders."""

    components: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises DatasetError, which says how a layout is written."""
        components = tuple(part.strip(_SPACE) for part in text.strip(_SPACE).strip("/").split("/"))
        classes = components.count(CLASS) + components.count(CLASS_NUMBER)
        flat_inside = CLASS_NUMBER in components[:-1] or components.count(CLASS_NUMBER) * components.count(CLASS)
        if not all(components) or not classes or flat_inside or components.count(SPLIT) > 1:
            raise DatasetError(f"no layout: {text[:100]!r}; write one {HELP}; or the name of a file of labels")
        return cls(components)

    @property
    def has_splits(self) -> bool:
        return SPLIT in self.components

    def __str__(self) -> str:
        return "/".join(self.components)

    def under(self, *outer: str) -> Pattern:
        """This layout inside other folders."""
        return Pattern((*outer, *self.components))

    def place(self, folders: Parts, file: str) -> Place | None:
        """The split and the class of a file in these folders; None if it is outside of what the pattern describes."""
        components = self.components
        if components[-1] == CLASS_NUMBER:
            components = components[:-1]
        if len(folders) < len(components):
            return None
        part: Part | None = None
        names: list[str] = []
        for component, folder in zip(components, folders, strict=False):
            if component == CLASS:
                names.append(folder)
            elif component == SPLIT:
                if (part := split_part(folder)) is None:
                    return None
            elif component not in (ANY, folder):
                return None
        if components is not self.components:
            names = numbered_class(file)
        return Place(part, JOINT.join(names)) if names else None

    def class_of_folder(self, folders: Parts) -> str | None:
        """The class that a folder stands for; None if it is above or below the folders of classes, or elsewhere."""
        deepest = max((at for at, component in enumerate(self.components) if component == CLASS), default=-1)
        if len(folders) != deepest + 1:
            return None
        place = Pattern(self.components[: deepest + 1]).place(folders, "") if folders else None
        return None if place is None else composed(place.class_name)


def composed(name: str) -> str:
    """As people read it: accents as one character, however the file system stores them."""
    return unicodedata.normalize("NFC", name)


def numbered_class(file: str) -> list[str]:
    """The class in the name of a file that ends in a number, such as `cat_001.jpg`, `cat.17.jpg` or `cat (3).jpg`."""
    stem = file[: file.rfind(".")] if file.rfind(".") > 0 else file
    found = _NUMBERED.fullmatch(stem)
    return [found.group(1)] if found else []
