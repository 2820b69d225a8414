"""Statistics of a classifier on a finite test split."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autonl_core.report.facts import Counts


def confusion(labels: Counts, predicted: Counts, classes: int) -> Counts:
    """(classes, classes): images of the row's class that were predicted to be of the column's."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class ClassScore:
    """Test images of a class, and how many of them were predicted correctly."""

    label: int
    correct: int
    images: int

    @property
    def top1_pct(self) -> float:
        return 100 * self.correct / self.images if self.images else math.nan


def class_scores(table: Counts) -> list[ClassScore]:
    """The score of every class, from a confusion matrix."""
    return [ClassScore(label, int(row[label]), int(row.sum())) for label, row in enumerate(table)]


@dataclass(frozen=True)
class ConfusedPair:
    """How many of the `images` of class `label` were predicted to be of class `predicted`."""

    label: int
    predicted: int
    count: int
    images: int


def most_confused(table: Counts, most: int) -> list[ConfusedPair]:
    """The pairs confused most often, in descending order; ties are in the order of the classes."""
    mistakes = table.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:most]
    pairs = [tuple(int(i) for i in np.unravel_index(place, mistakes.shape)) for place in order]
    return [ConfusedPair(a, b, int(mistakes[a, b]), int(table[a].sum())) for a, b in pairs if mistakes[a, b]]
