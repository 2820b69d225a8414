"""Exact binomial probabilities: by hand, and against SciPy on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest, fisher_exact

from autonl_core.wording.evidence import (
    beside_guessing,
    chance_of_difference,
    differ,
    gap_may_be_chance,
    least_difference,
    tail,
    wilson_pct,
)


def test_chances_by_hand() -> None:
    assert tail(2, 2, 0.5) == pytest.approx(1 / 4)
    assert tail(2, 3, 0.5) == pytest.approx(4 / 8)
    assert tail(1, 2, 0.1) == pytest.approx(1 - 0.9**2)
    assert (tail(0, 0, 0.5), tail(1, 0, 0.5), tail(3, 2, 0.5)) == (1, 0, 0)
    assert (tail(1, 5, 0.0), tail(5, 5, 1.0)) == (0, 1)


@pytest.mark.parametrize("tries", [1, 7, 10, 100, 2_000, 10_000])
@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.93])
def test_chances_are_those_of_scipy(tries: int, probability: float) -> None:
    for share in (0, 0.05, 0.1, 0.5, 0.9, 1):
        successes = round(share * tries)
        expected = float(binom.sf(successes - 1, tries, probability))
        assert tail(successes, tries, probability) == pytest.approx(expected, rel=1e-8, abs=1e-300)


GRID = [(images, classes) for images in (1, 2, 3, 5, 10, 20, 50, 200, 1000) for classes in (2, 3, 10, 100)]


@pytest.mark.parametrize(("images", "classes"), GRID)
def test_guessing_is_judged_as_its_exact_interval_says(images: int, classes: int) -> None:
    share = 1 / classes
    for correct in sorted({0, 1, images // classes, images // 2, images - 1, images}):
        interval = binomtest(correct, images, share).proportion_ci(0.95, "exact")
        found = beside_guessing(correct, images, share)
        if interval.low > share:
            assert found == "better"
        else:
            assert found == ("no better" if interval.high < (share + 1) / 2 else "unknown")


def test_guessing_by_hand() -> None:
    assert beside_guessing(7, 10, 0.5) == "unknown"  # guessing does that in 17% of cases; 30% to 93% are possible
    assert beside_guessing(9, 10, 0.5) == "better"  # 1.1%
    assert beside_guessing(8, 10, 0.5) == "unknown"  # 5.5%
    assert beside_guessing(2, 2, 0.5) == "unknown"
    assert beside_guessing(100, 1000, 0.1) == "no better"
    assert beside_guessing(0, 20, 0.5) == "no better"


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("images", [2, 5, 10, 20, 100, 500])
def test_guessing_is_rarely_called_better_and_a_perfect_network_never_worse(images: int, share: float) -> None:
    called_better = sum(
        float(binom.pmf(correct, images, share))
        for correct in range(images + 1)
        if beside_guessing(correct, images, share) == "better"
    )
    assert called_better <= 0.025
    assert beside_guessing(images, images, share) != "no better"


@pytest.mark.parametrize("images", [1, 2, 5, 10, 60, 500])
def test_differences_are_judged_as_by_scipy(images: int) -> None:
    for first in {0, 1, images // 2, images - 1, images}:
        for second in {0, images // 3, images}:
            table = [[first, images - first], [second, images - second]]
            expected = fisher_exact(table).pvalue
            assert differ(first, second, images) == (expected < 0.05)
            assert chance_of_difference(first, second, images) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("images", [1, 3, 4, 10, 60, 1000, 10_000])
@pytest.mark.parametrize("above", [True, False])
def test_the_least_difference_is_the_first_that_is_no_chance(images: int, above: bool) -> None:
    reference = images // 3
    sign = 1 if above else -1
    found = least_difference(reference, images, above=above)
    if found is None:
        assert not differ(images if above else 0, reference, images)
    else:
        assert differ(reference + sign * found, reference, images)
        assert not differ(reference + sign * (found - 1), reference, images)


def test_ten_images_show_a_difference_of_five_at_best_but_three_images_none() -> None:
    assert least_difference(5, 10, above=True) == 5  # 10 against 5: p = .033; 9 against 5: p = .14
    assert least_difference(0, 3, above=True) is None


def points_and_error(ahead: int, behind: int, images: int) -> tuple[float, float]:
    values = np.array([1.0] * ahead + [-1.0] * behind + [0.0] * (images - ahead - behind))
    return round(100 * float(values.mean()), 2), round(100 * float(values.std(ddof=1)) / images**0.5, 2)


@pytest.mark.parametrize("images", [10, 30, 100, 1000])
def test_a_gap_between_two_networks_is_chance_as_the_sign_test_says(images: int) -> None:
    for ahead in range(10):
        for behind in range(min(4, images - ahead)):
            expected = ahead == behind or 2 * float(binom.sf(ahead - 1, ahead + behind, 0.5)) >= 0.05
            if ahead >= behind:
                assert gap_may_be_chance(*points_and_error(ahead, behind, images), images) == expected


def test_a_gap_to_the_mean_of_many_networks_needs_enough_images() -> None:
    assert not gap_may_be_chance(11.0, 2.0, 30)
    assert gap_may_be_chance(11.0, 2.0, 10)
    assert gap_may_be_chance(1.0, 2.0, 1000)


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.0, 16.11),
        (1, 29, 0.61, 17.18),
    ],
)
def test_the_interval_is_that_of_wilson(correct: int, images: int, low: float, high: float) -> None:
    assert wilson_pct(correct, images) == pytest.approx((low, high), abs=0.01)
    mirrored = wilson_pct(images - correct, images)
    assert mirrored == pytest.approx((100 - high, 100 - low), abs=0.01)


def test_without_images_nothing_is_known() -> None:
    assert wilson_pct(0, 0) == (0.0, 100.0)


def test_the_interval_includes_its_share_to_the_last_bit() -> None:
    for images in range(1, 400):
        assert wilson_pct(images, images)[1] == 100.0
        assert wilson_pct(0, images)[0] == 0.0
        low, high = wilson_pct(images // 3, images)
        assert low <= 100 * (images // 3) / images <= high
