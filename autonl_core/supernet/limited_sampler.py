"""Random networks where more than MACs is limited."""

from __future__ import annotations

import math

import numpy as np

from autonl_core.supernet.budget import BandSampler, Floats
from autonl_core.supernet.option_costs import OptionCosts

_ROUNDS = 12  # of making options dearer
_PROBES = 16  # networks that are drawn in each
_ENOUGH = 0.25  # of the draws meet all limits
_SHIFT = 1.0  # of a price in a round, per standard deviation of what networks have
_PROBE_SEED = 0


def sampler_within(table: OptionCosts, probabilities: list[Floats], low: int, high: int) -> BandSampler:
    """Draws networks with MACs in [low, high] that meet the other limits of `table`.

    Where options have something that is limited, their `probabilities` are lowered by a price on it, the lowest of a
    few at which a good part of the draws meets the limits; what does not is drawn again. Without other limits, the
    probabilities stay as they are.
    """
    if not table.limited:
        return BandSampler(table, probabilities, low, high)
    prices = np.zeros(len(table.limits))
    possible = [np.where(out, 0.0, p) for out, p in zip(table.ruled_out, probabilities, strict=True)]
    for _ in range(_ROUNDS):
        sampler = BandSampler(table, _priced(table, possible, prices), low, high)
        rng = np.random.default_rng(_PROBE_SEED)
        drawn = [choice for choice in (sampler.draw_any(rng) for _ in range(_PROBES)) if choice is not None]
        if not drawn or np.mean([table.allows(choice) for choice in drawn]) >= _ENOUGH:
            break
        missed = [np.mean([limit.of(choice) > limit.at_most for choice in drawn]) for limit in table.limits]
        prices += _SHIFT * np.array(missed)
    return sampler


def _priced(table: OptionCosts, probabilities: list[Floats], prices: Floats) -> list[Floats]:
    """Probabilities of options, lowered by what they have of everything that is limited, (options,) per position."""
    spreads = [math.sqrt(sum(float(np.var(costs)) for costs in limit.costs)) or 1.0 for limit in table.limits]
    priced = []
    for position, p in enumerate(probabilities):
        dear = np.zeros(len(p))
        for limit, price, spread in zip(table.limits, prices, spreads, strict=True):
            dear += price * limit.costs[position] / spread
        weights = p * np.exp(dear.min() - dear)
        priced.append(weights / weights.sum() if weights.sum() > 0 else _even(table, position))
    return priced


def _even(table: OptionCosts, position: int) -> Floats:
    """Where nothing that is likely is possible: all that is possible alike."""
    possible = (~table.ruled_out[position]).astype(np.float64)
    return np.asarray(possible / possible.sum())
