"""Landing exactly on the budget: the best-scoring network within it, and random ones as a distribution has them.

The MACs of a network are a sum over positions of a table look-up (`gates.py`), so "the most likely network within the
budget" is a multiple-choice knapsack, and "a random network within the budget, as the learned distribution has it" is
sampling from a chain. Both are solved by dynamic programming over MACs, not by rounding and repair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonl_core.errors import BudgetError
from autonl_core.supernet.limited_choice import best_limited, most_macs_limited
from autonl_core.supernet.option_costs import Choice, OptionCosts

BAND = 0.97  # a network should use at least this share of its budget
_LOOSE_BAND = 0.75  # of the most MACs that other limits leave
_BINS = 4096  # of the budget, for projection
_SAMPLING_BINS = 1024
_NEVER = -1e300
_LIMITED_TRIES = 64  # for a network within the other limits

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Projection:
    """A choice within [low, high] MACs, or, where the space is too coarse, the nearest below `high`."""

    choice: Choice
    macs: int
    in_band: bool


def evenly(table: OptionCosts) -> list[Floats]:
    """Probabilities of options that favour none of a position."""
    return [np.full(len(costs), 1 / len(costs)) for costs in table.costs]


class Band(NamedTuple):
    """The MACs that a network should have, and whether it should fill the limits of its table as well."""

    low: int
    high: int
    fills: bool = False


def band(budget_macs: int) -> tuple[int, int]:
    """The MACs a result should have: from 97% of the budget to the budget."""
    return math.ceil(BAND * budget_macs), budget_macs


def band_within(table: OptionCosts, budget_macs: int) -> Band:
    """The MACs a result should have where other limits may leave fewer: then from three quarters of what they leave.

    The networks with the very most MACs within other limits are few, alike, and the best of nothing else. What they
    should fill instead is a limit of latency: a user who allows for a millisecond wants what a millisecond buys.

    Raises:
        BudgetError: no network within the budget meets all limits.
    """
    usual = Band(*band(budget_macs))
    if not table.limited:
        return usual
    largest = most_macs(table, budget_macs)
    most = table.macs(largest)
    if most >= usual.low:
        return usual
    low = math.ceil(_LOOSE_BAND * most)
    filling = largest if table.fills(largest) else most_macs_limited(table, most, fills=True)
    return Band(low, most, fills=filling is not None and table.macs(filling) >= low)


def most_macs(table: OptionCosts, budget_macs: int) -> Choice:
    """Of the choices within the budget and all limits, one with about the most MACs. Raises as `band_within` does."""
    found = table.most_macs.get(budget_macs) or most_macs_limited(table, budget_macs)
    if found is None:
        smallest, largest = table.macs_range()
        message = f"no network of {table.name!r} with at most {budget_macs:,} MACs meets the constraints"
        raise BudgetError(message, feasible_macs=(smallest, largest))
    table.most_macs[budget_macs] = found
    return found


def log_scores(probabilities: list[Floats]) -> list[Floats]:
    """Probabilities of options as scores that add up to the log-likelihood of a choice, finite even at zero."""
    return [np.log(np.maximum(q, 1e-12)) for q in probabilities]


def project(table: OptionCosts, scores: list[Floats], low: int, high: int, fills: bool = False) -> Projection:
    """The choice with the largest sum of scores whose MACs lie in [low, high].

    Other limits of the table are met as well, and filled, if `fills`. `scores` holds one number per option and
    position, e.g. log-probabilities. Where there is no such network, the largest below `high` is returned, and marked
    if it has fewer MACs. Networks that differ by less than a bin (1/4096 of `high`) compete for one place, so the sum
    is optimal up to that grain; the MACs are exact.

    Raises:
        BudgetError: even the smallest network of the space exceeds `high`, or none within it meets the other limits.
    """
    smallest, largest = table.macs_range()
    if smallest > high:
        message = f"no network of {table.name!r} has at most {high:,} MACs; the smallest has {smallest:,}"
        raise BudgetError(message, feasible_macs=(smallest, largest))
    if table.limited:
        choice = best_limited(table, scores, low, high, fills=fills)
    else:
        choice = _best_in_band(table, scores, low, high)
    if choice is not None:
        return Projection(choice, table.macs(choice), in_band=True)
    choice = most_macs(table, high) if table.limited else _largest_below(table, scores, high)
    macs = table.macs(choice)
    return Projection(choice, macs, in_band=macs >= low)


def _best_in_band(table: OptionCosts, scores: list[Floats], low: int, high: int) -> Choice | None:
    """Knapsack over rounded MACs that carries the exact MACs along and checks them at the end."""
    room = high - table.fixed_macs
    width = max(1.0, room / _BINS)
    length = int(room / width) + 2 + len(table.costs)  # rounding may put a fitting network a little above
    best = np.full(length, _NEVER)
    exact = np.zeros(length, dtype=np.int64)
    best[0] = 0.0
    taken: list[NDArray[np.int16]] = []
    for costs, values in zip(table.costs, scores, strict=True):
        next_best, next_exact = np.full(length, _NEVER), np.zeros(length, dtype=np.int64)
        option_taken = np.full(length, -1, dtype=np.int16)
        for option in np.argsort(-values, kind="stable"):
            shift = round(int(costs[option]) / width)
            if shift >= length:
                continue
            reached = slice(shift, length)
            total = np.where(best[: length - shift] > _NEVER, best[: length - shift] + values[option], _NEVER)
            better = total > next_best[reached]
            next_best[reached] = np.where(better, total, next_best[reached])
            moved = exact[: length - shift] + costs[option]
            next_exact[reached] = np.where(better, moved, next_exact[reached])
            option_taken[reached] = np.where(better, option, option_taken[reached])
        best, exact = next_best, next_exact
        taken.append(option_taken)
    macs = exact + table.fixed_macs
    fitting = np.where((best > _NEVER) & (macs >= low) & (macs <= high), best, _NEVER)
    place = int(np.argmax(fitting))
    if fitting[place] <= _NEVER:
        return None
    choice: list[int] = []
    for costs, option_taken in zip(reversed(table.costs), reversed(taken), strict=True):
        option = int(option_taken[place])
        choice.append(option)
        place -= round(int(costs[option]) / width)
    return tuple(reversed(choice))


def _largest_below(table: OptionCosts, scores: list[Floats], high: int) -> Choice:
    """The network with the most MACs not above `high`, found exactly; among equal options the better score.

    Reachable sums are the set bits of an integer, in units of the common divisor of all costs.
    """
    unit = reduce(math.gcd, (int(cost) for costs in table.costs for cost in costs if cost), 0) or 1
    room = (high - table.fixed_macs) // unit
    mask = (1 << (room + 1)) - 1
    reachable = [1]
    for costs in table.costs:
        sums = 0
        for cost in {int(c) // unit for c in costs}:
            sums |= reachable[-1] << cost
        reachable.append(sums & mask)
    remaining = reachable[-1].bit_length() - 1
    choice: list[int] = []
    for costs, values, before in zip(reversed(table.costs), reversed(scores), reversed(reachable[:-1]), strict=True):
        spent = [int(c) // unit for c in costs]
        fits = [i for i, c in enumerate(spent) if c <= remaining and before >> (remaining - c) & 1]
        option = max(fits, key=lambda i: float(values[i]))
        choice.append(option)
        remaining -= spent[option]
    return tuple(reversed(choice))


@dataclass
class BandSampler:
    """Draws networks from a distribution of options, conditioned on MACs in [low, high].

    Forward pass: the probability of every sum of MACs over the first positions. Backward pass: draw a final sum inside
    the band, then one option per position, last to first. Rounded sums only propose: a draw whose exact MACs fall
    outside is drawn again.
    """

    table: OptionCosts
    probabilities: list[Floats]
    low: int
    high: int
    _messages: list[Floats] = field(init=False)
    _shifts: list[list[int]] = field(init=False)
    _width: float = field(init=False)

    def __post_init__(self) -> None:
        room = max(1, self.high - self.table.fixed_macs)
        self._width = max(1.0, room / _SAMPLING_BINS)
        length = int(room / self._width) + 2 + len(self.table.costs)
        self._shifts = [[round(int(c) / self._width) for c in costs] for costs in self.table.costs]
        message = np.zeros(length)
        message[0] = 1.0
        self._messages = [message]
        for shifts, probabilities in zip(self._shifts, self.probabilities, strict=True):
            following = np.zeros(length)
            for shift, probability in zip(shifts, probabilities, strict=True):
                if shift < length:
                    following[shift:] += probability * message[: length - shift]
            message = following / max(following.sum(), 1e-300)
            self._messages.append(message)

    def draw(self, rng: np.random.Generator, tries: int = 64) -> Choice | None:
        """One network, or None if `tries` draws all missed the band (it is empty, or nearly) or another limit."""
        for _ in range(_LIMITED_TRIES if self.table.limited else 1):
            choice = self.draw_any(rng, tries)
            if choice is None or self.table.allows(choice):
                return choice
        return None

    def draw_any(self, rng: np.random.Generator, tries: int = 64) -> Choice | None:
        """One network, whatever is limited besides MACs; None as in `draw`."""
        sums = np.arange(len(self._messages[-1])) * self._width + self.table.fixed_macs
        inside = (sums >= self.low - self._width) & (sums <= self.high + self._width)
        final = np.where(inside, self._messages[-1], 0.0)
        if final.sum() <= 0:
            return None
        for _ in range(tries):
            choice = self._trace_back(int(rng.choice(len(final), p=final / final.sum())), rng)
            if self.low <= self.table.macs(choice) <= self.high:
                return choice
        return None

    def _trace_back(self, place: int, rng: np.random.Generator) -> Choice:
        choice: list[int] = []
        for position in reversed(range(len(self._shifts))):
            before, shifts = self._messages[position], self._shifts[position]
            weights = np.array([p * before[place - s] if s <= place else 0.0
                                for s, p in zip(shifts, self.probabilities[position], strict=True)])  # fmt: skip
            option = int(rng.choice(len(weights), p=weights / weights.sum()))
            choice.append(option)
            place -= shifts[option]
        return tuple(reversed(choice))
