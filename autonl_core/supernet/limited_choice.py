"""The best network where more than MACs is limited: a multiple-choice knapsack with several weights.

Dynamic programming over several sums at once takes too long, so this is an integer program: one variable for every
option, one of them open per position, a row for MACs and for every limit. HiGHS solves it exactly, and the same way
every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autonl_core.supernet.option_costs import Choice, OptionCosts

_GAP = 1e-3  # of the best sum, that the solver may leave: the last thousandth takes it longer than all the rest
_TRIES = 4  # the solver's tolerance may let a few MACs through; then the bound is drawn in

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Row:
    """`low` <= the sum of what is open of `costs`, per position (options,), <= `high`."""

    costs: Sequence[NDArray[np.int64]]
    low: float
    high: float

    def of(self, choice: Choice) -> int:
        return sum(int(costs[i]) for costs, i in zip(self.costs, choice, strict=True))

    def holds(self, choice: Choice) -> bool:
        return self.low <= self.of(choice) <= self.high

    def drawn_in(self, choice: Choice) -> _Row:
        """The same with bounds that are tighter by as much as `choice` is beyond them."""
        amount = self.of(choice)
        return _Row(self.costs, self.low + max(0, self.low - amount), self.high - max(0, amount - self.high))


def best_limited(
    table: OptionCosts, scores: list[Floats], low: int, high: int, *, fills: bool = False
) -> Choice | None:
    """The choice with the largest sum of scores among those with MACs in [low, high] that meet all limits; or None.

    Args:
        fills: only among those that fill the limits as well.
    """
    return _solve(table, np.concatenate(scores), low, high, fills=fills)


def most_macs_limited(table: OptionCosts, high: int, *, fills: bool = False) -> Choice | None:
    """Of the choices with at most `high` MACs that meet all limits, one with the most MACs; None: there is none."""
    return _solve(table, np.concatenate(table.costs).astype(np.float64), table.fixed_macs, high, fills=fills)


def _solve(table: OptionCosts, worth: Floats, low: int, high: int, *, fills: bool) -> Choice | None:
    rows = [_Row(table.costs, low - table.fixed_macs, high - table.fixed_macs)]
    for limit in table.limits:
        least = limit.at_least - limit.fixed if fills else -math.inf
        rows.append(_Row(limit.costs, least, limit.at_most - limit.fixed))
    for _ in range(_TRIES):
        choice = _solution(table, worth, rows)
        if choice is None or all(row.holds(choice) for row in rows):
            return choice
        rows = [row.drawn_in(choice) for row in rows]
    return None


def _solution(table: OptionCosts, worth: Floats, rows: Sequence[_Row]) -> Choice | None:
    """The solver's answer, which may be beyond a bound by its tolerance."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # takes a third of a second, and few searches need it

    counts = [len(costs) for costs in table.costs]
    one_each = np.repeat(np.eye(len(counts)), counts, axis=1)  # (positions, options of all)
    ones = np.ones(len(counts))
    given = LinearConstraint(
        np.vstack([one_each, *(np.concatenate(row.costs) for row in rows)]),
        np.concatenate([ones, [row.low for row in rows]]),
        np.concatenate([ones, [row.high for row in rows]]),
    )
    possible = Bounds(0, 1.0 - np.concatenate(table.ruled_out))
    scale = max(float(np.ptp(worth)), 1e-12)  # the solver's tolerances are absolute
    answer = milp(-worth / scale, constraints=given, bounds=possible, integrality=1, options={"mip_rel_gap": _GAP})
    if answer.x is None:
        return None
    return tuple(int(np.argmax(part)) for part in np.split(answer.x, np.cumsum(counts)[:-1]))
