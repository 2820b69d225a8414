"""A fixed, stratified draw of held-out images that never divides images of the same picture."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence


def stratified_draw(
    labels: Sequence[int], fraction: float, seed: int, groups: Sequence[int | None] | None = None
) -> set[int]:
    """Draw indices of about `fraction` of every class: at least one, never a whole class. Deterministic.

    Images with the same number in `groups` are drawn together or not at all (None: no group). A class that is one
    group, or whose groups reach into other classes, may get none.
    """
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    draw = _Draw(labels, fraction, by_class, groups)
    for label in sorted(by_class):
        draw.draw_class(label, random.Random(f"{seed}/{label}"))
    return draw.chosen


class _Draw:
    """The indices chosen so far, and how many more may be chosen of every class."""

    def __init__(
        self,
        labels: Sequence[int],
        fraction: float,
        by_class: Mapping[int, Sequence[int]],
        groups: Sequence[int | None] | None,
    ) -> None:
        self._labels, self._by_class, self._groups = labels, by_class, groups
        self._members = _members(groups or ())
        self._wanted = {label: _wanted(len(indices), fraction) for label, indices in by_class.items()}
        self._left = {label: len(indices) for label, indices in by_class.items()}  # not chosen
        self.chosen: set[int] = set()

    def draw_class(self, label: int, generator: random.Random) -> None:
        """Choose images of a class, and with them all images of their groups."""
        indices = self._by_class[label]
        groups = self._groups
        if groups is None or all(groups[index] is None for index in indices):
            self.chosen.update(generator.sample(indices, self._wanted[label]))
            return
        has_none = self.chosen.isdisjoint(indices)
        units = self._units(indices, groups)
        units = generator.sample(units, len(units))
        counts = [Counter(self._labels[index] for index in unit) for unit in units]
        drawn = _that_fit(counts, self._wanted)
        if not drawn and has_none:  # every group is too large: take the smallest that leaves an image in each class
            possible = [number for number, count in enumerate(counts) if _fits(count, self._left, spare=1)]
            drawn = sorted(possible, key=lambda number: counts[number][label])[:1]
        for number in drawn:
            self.chosen.update(units[number])
            for other, images in counts[number].items():
                self._wanted[other] -= images
                self._left[other] -= images

    def _units(self, indices: Sequence[int], groups: Sequence[int | None]) -> list[list[int]]:
        """What can only be drawn as a whole and is not drawn yet, in the order of the first image."""
        units: dict[int, list[int]] = {}
        for index in indices:
            group = groups[index]
            unit = [index] if group is None else self._members[group]
            if unit[0] not in self.chosen:
                units[unit[0]] = unit
        return list(units.values())


def _wanted(count: int, fraction: float) -> int:
    return min(max(1, round(fraction * count)), count - 1)


def _members(groups: Sequence[int | None]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(index)
    return members


def _that_fit(counts: Sequence[Counter[int]], wanted: Mapping[int, int]) -> list[int]:
    """Units, in order, that together exceed `wanted` in no class. `counts`: their images by class."""
    wanted = dict(wanted)
    fitting = []
    for number, count in enumerate(counts):
        if _fits(count, wanted):
            fitting.append(number)
            for label in count:
                wanted[label] -= count[label]
    return fitting


def _fits(count: Counter[int], left: Mapping[int, int], spare: int = 0) -> bool:
    return all(left[label] - images >= spare for label, images in count.items())
