"""The folders that images are in, without those that only wrap others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from autonl_core.datasets.layouts.split_names import Part, split_part
from autonl_core.datasets.names import Parts

# A folder between a class and its images that says nothing: `cat/images/1.jpg`.
_SAYS_NOTHING = re.compile(
    r"(?:images?|imgs?|pics?|pictures?|photos?|bilder|fotos?|jpe?gs?|pngs?|data|raw|original|originals|files)[ _-]*\d*"
)


@dataclass(frozen=True)
class Folders:
    """The folders of every image by its name; `wrapping` are those around all of them, which are not among these.

    `inside` are the folders that were skipped below an outermost one, such as the second of `train/train/cat`.
    """

    of: Mapping[str, Parts]
    wrapping: Parts = ()
    inside: Mapping[str, Parts] = field(default_factory=dict)

    def strip(self, path: Parts) -> Parts | None:
        """The path of a folder without those that are skipped; None if it is around or beside them."""
        depth = len(self.wrapping)
        if path[:depth] != self.wrapping or len(path) == depth:
            return None
        top, rest = path[depth], path[depth + 1 :]
        skipped = self.inside.get(top, ())
        if not rest:
            return (top,)
        return (top, *rest[len(skipped) :]) if rest[: len(skipped)] == skipped and len(rest) > len(skipped) else None

    def tops(self) -> list[str]:
        """The outermost folders with images, at any depth."""
        return sorted({parts[0] for parts in self.of.values() if parts})

    def below(self, top: str) -> Self:
        """What is in one of the outermost folders."""
        return replace(self, of={name: parts[1:] for name, parts in self.of.items() if parts and parts[0] == top})

    def direct(self) -> set[str]:
        """The outermost folders that have images beside folders, or instead of them."""
        return {parts[0] for parts in self.of.values() if len(parts) == 1}

    def nested(self) -> set[str]:
        """The outermost folders that have folders with images."""
        return {parts[0] for parts in self.of.values() if len(parts) > 1}

    def inner(self) -> dict[str, set[str]]:
        """The folders with images inside each of the outermost ones."""
        found: dict[str, set[str]] = {}
        for parts in self.of.values():
            if len(parts) > 1:
                found.setdefault(parts[0], set()).add(parts[1])
        return found


def unwrap(folders: Folders, classes: Collection[str] = (), split: Part | None = None) -> Folders:
    """Without the folders that contain all others, unless they are splits or `classes`. Images beside are dropped.

    Within a `split`, a folder that is named like it once more is none: `training_set/training_set/cat`.
    """
    of, wrapping = dict(folders.of), list(folders.wrapping)
    while True:
        of = {name: parts for name, parts in of.items() if parts}
        tops = {parts[0] for parts in of.values()}
        inside = {parts[1] for parts in of.values() if len(parts) > 1}
        if len(tops) != 1 or not inside or min(tops) in classes or _is_split(min(tops), inside, split):
            return Folders(of, tuple(wrapping))
        wrapping.append(tops.pop())
        of = {name: parts[1:] for name, parts in of.items()}


def unwrap_splits(folders: Folders) -> Folders:
    """Without folders around the classes of a split, such as the second one of `train/train/cat`."""
    of, skipped = dict(folders.of), {}
    splits = [top for top in folders.tops() if split_part(top)]
    for top in splits:
        classes = {name for other in splits if other != top for name in _surely_classes(folders.below(other))}
        inside = unwrap(folders.below(top), classes, split_part(top))
        if len(inside.wrapping) > len(folders.wrapping):
            skipped[top] = inside.wrapping[len(folders.wrapping) :]
            of.update({name: (top, *parts) for name, parts in inside.of.items()})
    return replace(folders, of=of, inside=skipped)


def _surely_classes(split: Folders) -> set[str]:
    """Folders that wrap nothing: with images of their own, or with others beside them."""
    tops = split.tops()
    return set(tops) if len(tops) > 1 else split.direct()


def says_nothing(folder: str, above: str) -> bool:
    """Whether a folder, the only one inside `above`, is just there: `cat/images`, `cat/cat`."""
    return folder.casefold() == above.casefold() or _SAYS_NOTHING.fullmatch(folder.casefold()) is not None


def _is_split(top: str, inside: Iterable[str], split: Part | None) -> bool:
    """Whether a folder around everything is a split, and not a folder called so around splits, or once more."""
    part = split_part(top)
    return part is not None and part != split and not all(split_part(folder) for folder in inside)
