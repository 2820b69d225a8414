"""A test of whether mirroring changes the classes of training images, on what was found when they were opened.

Every image gets the class of its nearest neighbour in other parts of the training images: once among these alone, once
among these and their mirror images, as training with mirroring would show them. Where a mirrored picture still shows
its class, the additional neighbours do no harm, however one-sided the pictures are. Where it shows another class, many
images become wrong that were right, and few the other way round: an exact binomial test compares both numbers.

No image is opened again: in a descriptor (`inspect.py`), mirroring changes the sign of every odd frequency across.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autonl_core.dataset_check.inspect import DESCRIPTOR_DIM, FREQUENCIES
from autonl_core.wording.evidence import tail

MOST_IMAGES = 10_000  # that are compared, spread evenly over classes and over the images of each
_LEAST_PER_CLASS = 4
_PARTS = 4  # of every class, in the order of names: neighbours by name may be frames of one scene
_BLOCK = 1024
_SIGNS = np.where(np.arange(DESCRIPTOR_DIM + 1) % FREQUENCIES % 2 == 1, -1, 1)[1:].astype(np.float32)

_SURE, _LIKELY = 0.01, 0.05  # chances: no mirroring, a warning
_SHARE, _PAIR_SHARE = 0.005, 0.05  # of all images, and of those of two classes, that mirroring makes wrong at least
_FAR_LESS = 0.75  # of the images that are recognised

Labels = NDArray[np.int64]
Descriptors = NDArray[np.float32]


@dataclass(frozen=True)
class Confusion:
    """Images that only mirrored neighbours make wrong, and those that only these make right, with the chance of that.

    `chance`: how often as many or more of those that change would become wrong if either were as likely.
    """

    wrong: int
    right: int
    images: int

    @property
    def chance(self) -> float:
        return tail(self.wrong, self.wrong + self.right, 0.5)

    @property
    def share(self) -> float:
        """Net share of the images that become wrong; below 0: mirroring helps."""
        return (self.wrong - self.right) / self.images if self.images else 0.0


@dataclass(frozen=True)
class PairConfusion(Confusion):
    """Of two classes, by label: images of one that are taken for the other."""

    one: int
    other: int


@dataclass(frozen=True)
class MirrorTest:
    """What mirroring does to all images and to every pair of classes.

    `recognised`: images with a neighbour of their class, among images as they are, and among mirrored ones alone, which
    `among_mirrored` compares.
    """

    total: Confusion
    pairs: tuple[PairConfusion, ...]  # the least likely first
    possible_pairs: int
    recognised: int
    recognised_mirrored: int
    among_mirrored: Confusion

    @property
    def is_harmful(self) -> bool:
        """Whether mirroring makes images look like another class, beyond doubt."""
        return bool(self.pairs_below(_SURE)) or (self.total.chance < _SURE / 10 and self.total.share >= _SHARE)

    @property
    def is_doubtful(self) -> bool:
        """Whether there are signs of that, which chance explains in at most one dataset in twenty."""
        return bool(self.pairs_below(_LIKELY)) or (self.total.chance < _SURE and self.total.share >= _SHARE)

    @property
    def needs_orientation(self) -> bool:
        """Whether far fewer images are recognised among mirrored ones: no harm, unless classes are glyphs."""
        return self.among_mirrored.chance < _SURE / 10 and self.recognised_mirrored < _FAR_LESS * self.recognised

    def pairs_below(self, chance: float) -> tuple[PairConfusion, ...]:
        """Pairs mistaken for each other, by more than this chance explains in any of the possible pairs."""
        return tuple(
            pair for pair in self.pairs if pair.chance * self.possible_pairs < chance and pair.share >= _PAIR_SHARE
        )


def mirrored(descriptors: Descriptors) -> Descriptors:
    """The descriptors of the mirror images, (N, DESCRIPTOR_DIM) both."""
    return descriptors * _SIGNS


def compare_with_mirrored(descriptors: Descriptors, labels: Labels) -> MirrorTest:
    """Compare images with each other and with mirrored ones.

    Args:
        descriptors: (N, DESCRIPTOR_DIM), no two of the same picture, each class in the order of names.
        labels: (N,).
    """
    rows = _sample(labels)
    descriptors, labels = descriptors[rows], labels[rows]
    with threadpool_limits(1):  # the same sums, and so the same neighbours, on every machine
        plain, turned, nearer = _neighbours(descriptors, labels)
    return _counted(labels, plain, turned, np.where(nearer, turned, plain))


def _sample(labels: Labels) -> NDArray[np.int64]:
    """Rows of at most MOST_IMAGES images: of every class as many, or of some classes if there are very many."""
    classes = np.unique(labels)
    per_class = max(_LEAST_PER_CLASS, MOST_IMAGES // max(1, len(classes)))
    classes = classes[_spread(len(classes), MOST_IMAGES // per_class)]
    by_class = (np.flatnonzero(labels == label) for label in classes)
    return np.concatenate([rows[_spread(len(rows), per_class)] for rows in by_class])


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` positions, evenly spread."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def _parts(labels: Labels) -> Labels:
    """The part that every image belongs to: each class is divided in order."""
    parts = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        parts[rows] = np.arange(len(rows)) * _PARTS // len(rows)
    return parts


def _neighbours(descriptors: Descriptors, labels: Labels) -> tuple[Labels, Labels, NDArray[np.bool_]]:
    """For every image the class of the nearest of the others, and of the nearest mirrored one, if that is nearer."""
    parts = _parts(labels)
    plain, turned = np.full(len(labels), -1), np.full(len(labels), -1)
    nearer = np.zeros(len(labels), bool)
    for part in range(_PARTS):
        others = np.flatnonzero(parts != part)
        asked = np.flatnonzero(parts == part)
        if not len(others):
            continue
        mirrored_others = mirrored(descriptors[others])
        for start in range(0, len(asked), _BLOCK):
            rows = asked[start : start + _BLOCK]
            one, distance = _nearest(descriptors[rows], descriptors[others])
            other, other_distance = _nearest(descriptors[rows], mirrored_others)
            plain[rows], turned[rows] = labels[others[one]], labels[others[other]]
            nearer[rows] = other_distance < distance
    return plain, turned, nearer


def _nearest(asked: Descriptors, known: Descriptors) -> tuple[Labels, NDArray[np.float32]]:
    """The nearest of `known`, and its squared distance less a constant for each of `asked`."""
    distances = np.square(known).sum(axis=1) - 2 * asked @ known.T
    nearest = distances.argmin(axis=1)
    return nearest, np.take_along_axis(distances, nearest[:, None], axis=1)[:, 0]


def _counted(labels: Labels, plain: Labels, turned: Labels, both: Labels) -> MirrorTest:
    wrong, right = _changes(labels, plain, both)
    lost, gained = _changes(labels, plain, turned)
    sizes = np.bincount(labels)
    count = len(sizes)
    codes = _codes(labels, np.where(right, plain, both), count)
    found, place = np.unique(codes[wrong | right], return_inverse=True)
    became_wrong = np.bincount(place, weights=wrong[wrong | right], minlength=len(found)).astype(int)
    changed = np.bincount(place, minlength=len(found))
    pairs = [
        PairConfusion(bad, total - bad, int(sizes[code // count] + sizes[code % count]), code // count, code % count)
        for code, bad, total in zip(found.tolist(), became_wrong.tolist(), changed.tolist(), strict=True)
    ]
    classes = int((sizes > 0).sum())
    return MirrorTest(
        Confusion(int(wrong.sum()), int(right.sum()), len(labels)),
        tuple(sorted(pairs, key=lambda pair: (pair.chance, -pair.wrong))),
        classes * (classes - 1) // 2,
        int((plain == labels).sum()),
        int((turned == labels).sum()),
        Confusion(int(lost.sum()), int(gained.sum()), len(labels)),
    )


def _changes(labels: Labels, before: Labels, after: Labels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images become wrong, and which become right."""
    return (before == labels) & (after != labels), (before != labels) & (after == labels)


def _codes(one: Labels, other: Labels, count: int) -> Labels:
    """A number for every pair of classes, in either order."""
    return np.minimum(one, other) * count + np.maximum(one, other)
