"""Whether counts bear a statement: exact binomial probabilities, no approximation that fails for few images."""

from __future__ import annotations

import math

ALPHA = 0.05  # two-sided: the chance of a statement about noise


def tail(successes: int, tries: int, probability: float) -> float:
    """The chance of `successes` or more in `tries`, each with `probability`; 1 if there are no successes."""
    if successes <= 0:
        return 1.0
    if successes > tries or probability <= 0:
        return 0.0
    if probability >= 1:
        return 1.0
    return min(1.0, math.fsum(_terms(successes, tries, probability)))


def _terms(first: int, tries: int, probability: float) -> list[float]:
    """The chances of exactly `first`, `first` + 1, ... successes."""
    odds = math.log(probability) - math.log1p(-probability)
    base = math.lgamma(tries + 1) + tries * math.log1p(-probability)
    return [
        math.exp(base + count * odds - math.lgamma(count + 1) - math.lgamma(tries - count + 1))
        for count in range(first, tries + 1)
    ]
