"""Whether counts bear a statement: the one place that decides. Exact binomial and hypergeometric probabilities.

No approximation that fails for few images: what is said of ten test images is as true as what is said of ten thousand.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

ALPHA = 0.05  # two-sided: how often a difference is claimed where there is none
_Z = 1.959963984540054  # of ALPHA
_LEAST_IMAGES = 20  # from which on a mean of shares is taken to be normal
_ROUNDING = 0.01  # of points: gaps are stored with two digits

Guessing = Literal["better", "no better", "unknown"]


def wilson_pct(correct: int, images: int) -> tuple[float, float]:
    """The 95% interval of Wilson (1927) for a share, in percent: valid for few images and near 0 and 100 as well.

    The share is inside, also where rounding would leave the ends at 0 and 100 beside it.
    """
    if images == 0:
        return 0.0, 100.0
    share, z2 = correct / images, _Z**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _Z * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2)) / (1 + z2 / images)
    pct = 100 * correct / images
    return min(pct, max(0.0, 100 * (centre - half))), max(pct, min(100.0, 100 * (centre + half)))


def tail(successes: int, tries: int, probability: float) -> float:
    """The chance of `successes` or more in `tries`, each with `probability`; 1 if there are no successes."""
    if successes <= 0:
        return 1.0
    if successes > tries or probability <= 0:
        return 0.0
    if probability >= 1:
        return 1.0
    odds = math.log(probability) - math.log1p(-probability)
    base = math.lgamma(tries + 1) + tries * math.log1p(-probability)
    return min(
        1.0,
        math.fsum(
            math.exp(base + count * odds - math.lgamma(count + 1) - math.lgamma(tries - count + 1))
            for count in range(successes, tries + 1)
        ),
    )


def beside_guessing(correct: int, images: int, share: float) -> Guessing:
    """How a score compares with guessing, which is right with probability `share`.

    Better: guessing scores so high in 2.5% of cases at most. No better: that is not so, and the upper limit of Clopper
    and Pearson (1934) for the score is below halfway between guessing and perfection. Unknown: the images are too few.
    """
    if tail(correct, images, share) < ALPHA / 2:
        return "better"
    halfway = (share + 1) / 2
    return "no better" if 1 - tail(correct + 1, images, halfway) < ALPHA / 2 else "unknown"


def differ(first: int, second: int, images: int) -> bool:
    """Whether two counts of correct images, of `images` each, differ by more than chance (Fisher's exact test)."""
    return chance_of_difference(first, second, images) < ALPHA


@functools.lru_cache(maxsize=256)  # of 50,000 images it takes a tenth of a second
def chance_of_difference(first: int, second: int, images: int) -> float:
    """How often two networks that are equally good would differ so much or more, each on `images` images of its own.

    The two-sided probability, by Fisher's exact test, of a difference as unlikely as this one, or less likely, given
    the sum of both. On the same images, networks differ less by chance alone: there it is an upper limit.
    """
    total = first + second
    observed = _log_ways(first, total, images)
    every = [_log_ways(count, total, images) for count in range(max(0, total - images), min(images, total) + 1)]
    most = max(every)
    likely = math.fsum(math.exp(ways - most) for ways in every)
    return math.fsum(math.exp(ways - most) for ways in every if ways <= observed + 1e-7) / likely


def chance_of_paired_difference(only_first: int, only_second: int) -> float:
    """How often two networks that are equally good would differ so much or more on the same images.

    The two-sided probability, by the exact test of McNemar (1947). The images count that only one of them gets right.
    """
    return min(1.0, 2 * tail(max(only_first, only_second), only_first + only_second, 0.5))


def least_difference(reference: int, images: int, *, above: bool) -> int | None:
    """How many images more (or fewer) than `reference` have to be correct to `differ`; None: no number suffices."""
    most = images - reference if above else reference
    sign = 1 if above else -1
    if not differ(reference + sign * most, reference, images):
        return None
    low, high = 0, most  # the difference at `low` is chance, at `high` it is not
    while high - low > 1:
        middle = (low + high) // 2
        if differ(reference + sign * middle, reference, images):
            high = middle
        else:
            low = middle
    return high


def gap_may_be_chance(points: float, error_points: float, images: int) -> bool:
    """Whether chance explains how far one network is ahead of another on the same images.

    By the standard error, and, if every image counts fully for one of them or for neither, by an exact sign test on the
    images that count. Of few images that count in part, nothing is certain.
    """
    if abs(points) <= _Z * error_points or images < 2:
        return True
    ahead = abs(points) / 100 * images
    if _counting(ahead, error_points + _ROUNDING, images) < ahead:  # some images count in part
        return images < _LEAST_IMAGES
    counting = max(ahead, _counting(ahead, error_points, images))
    return 2 * tail(round((counting + ahead) / 2), round(counting), 0.5) >= ALPHA


def _counting(ahead: float, error_points: float, images: int) -> float:
    """How many images only one of two networks gets right, from how many more the first does and its error."""
    return (images - 1) * images * (error_points / 100) ** 2 + ahead**2 / images


def _log_ways(first: int, total: int, images: int) -> float:
    """The logarithm of the number of ways in which `first` of the `total` correct answers are the first network's."""
    return _log_choose(images, first) + _log_choose(images, total - first)


def _log_choose(count: int, chosen: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
