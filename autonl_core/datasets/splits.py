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


def united(groups: Sequence[int | None], values: Sequence[str | None]) -> list[int | None]:
    """Groups of indices that share a number in `groups` or a value in `values`, directly or through others.

    None: an index that shares neither with another one.
    """
    leads = list(range(len(groups)))
    first: dict[int | str, int] = {}
    for index, keys in enumerate(zip(groups, values, strict=True)):
        for key in keys:
            if key is not None:
                one, other = _lead(leads, first.setdefault(key, index)), _lead(leads, index)
                leads[max(one, other)] = min(one, other)
    found = [_lead(leads, index) for index in range(len(leads))]
    sizes = Counter(found)
    numbers = {lead: number for number, lead in enumerate(lead for lead, size in sizes.items() if size > 1)}
    return [numbers.get(lead) for lead in found]


def _lead(leads: list[int], index: int) -> int:
    """The first index of a group; shortens the way to it."""
    while leads[index] != index:
        leads[index] = leads[leads[index]]
        index = leads[index]
    return index


def is_like(drawn: set[int], usual: set[int], labels: Sequence[int], least: int) -> bool:
    """Whether a draw of groups took from every class about what `usual`, a draw of single images, took.

    That is at least half and at most half more, or one image more; and it leaves `least` images of a class if `usual`
    does.
    """
    counts = Counter(labels)
    taken, wanted = Counter(labels[index] for index in drawn), Counter(labels[index] for index in usual)
    return all(
        wanted[label] / 2 <= taken[label] <= max(1.5 * wanted[label], wanted[label] + 1)
        and count - taken[label] >= min(least, count - wanted[label])
        for label, count in counts.items()
    )


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
