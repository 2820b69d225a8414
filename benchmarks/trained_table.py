"""A space whose every network was trained by others, three times: NAS-Bench-Macro (see `data/README.md`).

Eight positions with three options each; MACs are exactly additive, as in our spaces.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autonl_core.supernet.budget import Floats, band
from autonl_core.supernet.option_costs import Choice, OptionCosts
from autonl_core.supernet.utilities import OptionFeatures, resemblance

BUDGETS_MACS = (42_000_000, 50_000_000, 60_000_000, 75_000_000)
DATA = Path(__file__).parent / "data" / "nas_bench_macro.npz"
_POSITIONS, _OPTIONS = 8, 3
_STAGES = (0, 0, 1, 1, 1, 2, 2, 2)


@dataclass(frozen=True, eq=False)
class TrainedTable:
    """Top-1 of every network of the space, and what the product needs to search in it.

    Args:
        runs: (networks, 3) top-1 in percent, one column per seed.
        costs, features: for the knapsack, and for utilities.
    """

    runs: Floats
    costs: OptionCosts
    features: OptionFeatures

    def top1_pct(self, choice: Choice) -> float:
        """The mean of the three trainings of a network."""
        return float(self.runs[_row(choice)].mean())

    def train(self, choice: Choice, rng: np.random.Generator) -> float:
        """Top-1 of one of its trainings, drawn at random."""
        return float(self.runs[_row(choice), rng.integers(3)])

    def within(self, budget_macs: int) -> list[Choice]:
        """All networks in the band of a budget."""
        return list(_within(self, budget_macs))

    def share_of_gain(self, choice: Choice, budget_macs: int) -> float:
        """How far a network is from the mean of its budget (0) to the best of it (1)."""
        mean_pct, best_pct = _mean_and_best(self, budget_macs)
        return (self.top1_pct(choice) - mean_pct) / (best_pct - mean_pct)


@functools.cache
def trained_table() -> TrainedTable:
    """The table in `data/`."""
    with np.load(DATA) as saved:
        runs, macs = saved["runs"] / 100, saved["macs"].astype(np.int64)
    skipped = [0] * _POSITIONS
    costs = []
    for position in range(_POSITIONS):
        alone = [tuple(option if at == position else 0 for at in range(_POSITIONS)) for option in range(_OPTIONS)]
        costs.append(np.array([macs[_row(choice)] - macs[_row(tuple(skipped))] for choice in alone]))
    return TrainedTable(runs, OptionCosts("nas-bench-macro", int(macs[0]), costs), _features())


def _features() -> OptionFeatures:
    """Per position: the layer is there; it is the larger one. Those of a kind resemble each other, as our gates."""
    rows = []
    for position in range(_POSITIONS):
        own = np.zeros((_OPTIONS, 2 * _POSITIONS))
        own[1:, 2 * position] = 1
        own[2, 2 * position + 1] = 1
        rows.append(own)
    return OptionFeatures(tuple(rows), resemblance(np.tile([0, 1], _POSITIONS), np.repeat(_STAGES, 2)))


@functools.cache
def _within(table: TrainedTable, budget_macs: int) -> tuple[Choice, ...]:
    low, high = band(budget_macs)
    digits = np.indices((_OPTIONS,) * _POSITIONS).reshape(_POSITIONS, -1).T
    choices = [tuple(int(digit) for digit in row) for row in digits]
    return tuple(choice for choice in choices if low <= table.costs.macs(choice) <= high)


@functools.cache
def _mean_and_best(table: TrainedTable, budget_macs: int) -> tuple[float, float]:
    top1s_pct = [table.top1_pct(choice) for choice in _within(table, budget_macs)]
    return float(np.mean(top1s_pct)), max(top1s_pct)


def _row(choice: Choice) -> int:
    return int("".join(map(str, choice)), _OPTIONS)
