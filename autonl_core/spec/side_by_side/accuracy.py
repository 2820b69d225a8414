"""Whether results of searches may be compared, and whether their accuracies differ by more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from autonl_core.spec.comparison import Gap
from autonl_core.spec.result import ClassResult
from autonl_core.spec.right_images import count_right, only_one_right
from autonl_core.wording.evidence import ALPHA, chance_of_difference, chance_of_paired_difference


@dataclass(frozen=True)
class TestScore:
    """What the result of a search scored, and on which images.

    Args:
        fingerprint: of its dataset; equal ones stand for the same images in the same splits.
        classes: in the order of the logits; empty: an earlier version did not store them.
        right: which images, as `right_images.packed`; None: an earlier version did not store it.
    """

    search_id: str
    dataset: str
    fingerprint: str
    correct: int
    images: int
    classes: tuple[ClassResult, ...] = ()
    right: str | None = None

    __test__ = False  # keeps pytest from collecting it


@dataclass(frozen=True)
class AccuracyDifference:
    """How far the result of one search is ahead of that of another one, on the same test images.

    Without pairs, error and chance are those of networks that were tested on images of their own. On the same images
    they differ less by chance alone, as long as some images are harder than others: both are upper limits then.

    Args:
        gap: points of test top-1, below 0 if it is behind, and their standard error.
        paired: whether it is known which images each gets right, and they were compared image by image.
        chance: how often equally good networks would differ so much or more: by McNemar's exact test if paired, by
            Fisher's otherwise.
        may_be_chance: whether that explains it, at 5% for all differences of the comparison together (Holm, 1979).
    """

    search_id: str
    other_id: str
    gap: Gap
    paired: bool
    chance: float
    may_be_chance: bool


def reason_not_comparable(one: TestScore, other: TestScore) -> str | None:
    """Why the accuracies of two results say nothing of each other, as a sentence; None: they are of the same images."""
    if one.dataset != other.dataset:
        return (
            f"{one.search_id} was tested on images of dataset {one.dataset}, {other.search_id} on those of "
            f"{other.dataset}"
        )
    if one.fingerprint != other.fingerprint:
        return (
            f"dataset {one.dataset} had other content when {one.search_id} was started than when {other.search_id} was"
        )
    if one.images != other.images or _images_by_class(one, other):
        return (
            f"{one.search_id} was tested on {one.images:,} images of dataset {one.dataset}, {other.search_id} on "
            f"{other.images:,} others"
        )
    return None


def accuracy_differences(scores: Sequence[TestScore]) -> list[AccuracyDifference]:
    """All pairs of results that are comparable, the earlier one in `scores` first."""
    pairs = [pair for pair in itertools.combinations(scores, 2) if reason_not_comparable(*pair) is None]
    measured = [_paired(*pair) or _unpaired(*pair) for pair in pairs]
    explained = _may_be_chance([chance for _, chance, _ in measured])
    return [
        AccuracyDifference(one.search_id, other.search_id, gap, is_paired, chance, is_chance)
        for (one, other), (gap, chance, is_paired), is_chance in zip(pairs, measured, explained, strict=True)
    ]


def classes_agree(scores: Sequence[TestScore]) -> bool:
    """Whether all have results by class, of the same classes in the same order, tested on as many images of each."""
    listed = [[(each.name, each.test_images) for each in score.classes] for score in scores]
    return bool(listed and listed[0]) and all(classes == listed[0] for classes in listed)


def _images_by_class(one: TestScore, other: TestScore) -> bool:
    """Whether it is known that they differ in how many test images a class has."""
    return bool(one.classes and other.classes) and not classes_agree([one, other])


def _paired(one: TestScore, other: TestScore) -> tuple[Gap, float, bool] | None:
    """Gap, chance and True; None unless it is known of both which images they get right.

    What was counted in the search process and what a clean process counted may differ by an image that is on the brink;
    then it is not known.
    """
    if one.right is None or other.right is None or one.images < 2:
        return None
    if any(count_right(score.right or "") != score.correct for score in (one, other)):
        return None
    only_one, only_other = only_one_right(one.right, other.right)
    share = (only_one - only_other) / one.images
    variance = ((only_one + only_other) / one.images - share**2) / (one.images - 1)  # of the mean of -1, 0 and 1
    gap = Gap(points=100 * share, error_points=100 * math.sqrt(max(0.0, variance)))
    return gap, chance_of_paired_difference(only_one, only_other), True


def _unpaired(one: TestScore, other: TestScore) -> tuple[Gap, float, bool]:
    """Gap, chance and False."""
    shares = one.correct / one.images, other.correct / other.images
    variance = sum(share * (1 - share) for share in shares) / one.images
    gap = Gap(points=100 * (shares[0] - shares[1]), error_points=100 * math.sqrt(variance))
    return gap, chance_of_difference(one.correct, other.correct, one.images), False


def _may_be_chance(chances: Sequence[float]) -> list[bool]:
    """Of each, whether chance explains it: the smallest must be below 5% / n, the next one below 5% / (n - 1), ..."""
    explained = [True] * len(chances)
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[place] >= ALPHA / (len(chances) - rank):
            break
        explained[place] = False
    return explained
