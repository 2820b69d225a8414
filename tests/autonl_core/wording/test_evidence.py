"""Exact binomial probabilities: by hand, and against SciPy on a grid."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from autonl_core.wording.evidence import tail


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
