"""What can be said of a classifier from finitely many answers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autonl_core.report.facts import Counts

_Z = 1.959963984540054  # two-sided 95%


def wilson_pct(correct: int, images: int) -> tuple[float, float]:
    """The 95% interval of Wilson (1927) for a share, in percent: holds for few images and near 0 and 100 as well."""
    if images == 0:
        return 0.0, 100.0
    share, z2 = correct / images, _Z**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _Z * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2)) / (1 + z2 / images)
    return max(0.0, 100 * (centre - half)), min(100.0, 100 * (centre + half))


def noise_points(first: int, second: int, images: int) -> float:
    """Percentage points that two counts of correct answers differ by through chance alone, in 95 of 100 cases.

    As if the networks had been tested on images of their own; on the same images it is a little less.
    """
    variance = sum((correct / images) * (1 - correct / images) / images for correct in (first, second))
    return 100 * _Z * math.sqrt(variance)


def confusion(labels: Counts, predicted: Counts, classes: int) -> Counts:
    """(classes, classes): how often an image of the class of a row was taken for that of a column."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class ClassScore:
    """How many of the test images of a class were recognised."""

    label: int
    correct: int
    images: int

    @property
    def top1_pct(self) -> float:
        return 100 * self.correct / self.images if self.images else math.nan


def class_scores(table: Counts) -> list[ClassScore]:
    """The rows of a confusion matrix."""
    return [ClassScore(label, int(row[label]), int(row.sum())) for label, row in enumerate(table)]


@dataclass(frozen=True)
class ConfusedPair:
    """Images of `label` taken for `predicted`, of all the test images of `label`."""

    label: int
    predicted: int
    count: int
    images: int


def most_confused(table: Counts, most: int) -> list[ConfusedPair]:
    """The pairs confused most often, the worst first; equal ones in the order of the classes."""
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [tuple(int(i) for i in np.unravel_index(place, wrong.shape)) for place in order]
    return [ConfusedPair(a, b, int(wrong[a, b]), int(table[a].sum())) for a, b in pairs if wrong[a, b]]
