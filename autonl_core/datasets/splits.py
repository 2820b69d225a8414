"""Which images are set aside: a fixed, stratified draw that never divides images of the same picture."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence


def stratified_draw(
    labels: Sequence[int], fraction: float, seed: int, groups: Sequence[int | None] | None = None
) -> set[int]:
    """Indices of about `fraction` of every class, at least one, never a whole class; equal for equal arguments.

    Images of equal number in `groups` are drawn together or not at all (None: an image of its own). A class that is
    one group, or tied up in groups of others, may get none.
    """
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    together = _members(groups or ())
    room = {label: min(max(1, round(fraction * len(of))), len(of) - 1) for label, of in by_class.items()}
    left = {label: len(of) for label, of in by_class.items()}
    chosen: set[int] = set()
    for label in sorted(by_class):
        indices = by_class[label]
        generator = random.Random(f"{seed}/{label}")
        if groups is None or all(groups[index] is None for index in indices):
            chosen.update(generator.sample(indices, room[label]))
            continue
        none_yet = chosen.isdisjoint(indices)
        units = _units(indices, groups, together, chosen)
        units = generator.sample(units, len(units))
        counts = [Counter(labels[index] for index in unit) for unit in units]
        drawn = _that_fit(counts, room)
        if (
            not drawn
            and none_yet
            and (possible := [n for n, count in enumerate(counts) if _fits(count, left, spare=1)])
        ):
            drawn = [min(possible, key=lambda number: counts[number][label])]
        for number in drawn:
            chosen.update(units[number])
            for other, count in counts[number].items():
                room[other] -= count
                left[other] -= count
    return chosen


def _members(groups: Sequence[int | None]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(index)
    return members


def _units(
    indices: Sequence[int], groups: Sequence[int | None], together: dict[int, list[int]], chosen: set[int]
) -> list[list[int]]:
    """What can only be drawn as a whole, of those not drawn yet, in the order of their first image."""
    units: dict[int, list[int]] = {}
    for index in indices:
        group = groups[index]
        unit = [index] if group is None else together[group]
        if unit[0] not in chosen:
            units[unit[0]] = unit
    return list(units.values())


def _that_fit(counts: Sequence[Counter[int]], room: Mapping[int, int]) -> list[int]:
    """Units, in order, that together exceed in no class the room that is left. `counts`: their images by class."""
    room = dict(room)
    fitting = []
    for number, count in enumerate(counts):
        if _fits(count, room):
            fitting.append(number)
            for label in count:
                room[label] -= count[label]
    return fitting


def _fits(count: Counter[int], room: Mapping[int, int], spare: int = 0) -> bool:
    return all(room[label] - images >= spare for label, images in count.items())
