"""Slopes of the validation loss in gates, summed: what opening a gate is worth, and how sure that is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from autonl_core.supernet.budget import Floats

_PRIOR_COUNT = 4  # slopes that the common variance of all gates stands for, while a gate has few of its own
_LEAST_SLOPES = 2  # of a gate in each setting, before its worth is known


class SlopeSums:
    """Count, sum and sum of squares of every gate's slopes, by half of the steps and by the setting it was drawn in.

    Nothing is forgotten and nothing depends on the order of the steps. Both halves give the same answer where there is
    something to learn, which is what `agreement` measures.
    """

    def __init__(self, gates: int) -> None:
        self._sums = np.zeros((3, 2, 2, gates))  # (power, half, setting, gates)

    def add(self, half: int, vertex: Floats, slopes: Floats) -> None:
        """Slopes (gates,) at `vertex`, (gates,) of 0 and 1, NaN for gates that are free there. `half`: 0 or 1."""
        for setting in (0, 1):
            drawn = vertex == setting
            for power in range(3):
                self._sums[power, half, setting, drawn] += slopes[drawn] ** power

    def worth(self) -> tuple[Floats, Floats]:
        """How much lower the loss is with every gate open, (gates,), and the variance of that, infinite if unknown.

        The mean of the slopes in both settings, by the trapezoid rule: where weights are stationary, the slope at the
        open setting is near zero, and that at the closed one holds the information.
        """
        return _worth(self._sums.sum(axis=1))

    def agreement(self) -> float:
        """Correlation over gates of what both halves of the steps say; 0 while too little is known."""
        halves = [_worth(self._sums[:, half]) for half in (0, 1)]
        known = np.isfinite(halves[0][1]) & np.isfinite(halves[1][1])
        first, second = (worth[known] for worth, _ in halves)
        if known.sum() < 3 or first.std() == 0 or second.std() == 0:
            return 0.0
        return float(np.corrcoef(first, second)[0, 1])

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": torch.from_numpy(self._sums.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums = state["sums"].cpu().numpy().copy()


def _worth(sums: Floats) -> tuple[Floats, Floats]:
    """See `SlopeSums.worth`. sums: (power, setting, gates)."""
    counts, totals, squares = sums
    means = totals / np.maximum(counts, 1)
    spread = np.maximum(squares - counts * means**2, 0)
    usual = spread.sum() / max(1.0, float((counts - 1).clip(0).sum()))
    own = (spread + _PRIOR_COUNT * usual) / (_PRIOR_COUNT + (counts - 1).clip(0))
    known = (counts >= _LEAST_SLOPES).all(axis=0)
    variance = np.where(known, (own / np.maximum(counts, 1)).sum(axis=0) / 4, np.inf)
    return np.where(known, -means.mean(axis=0), 0.0), variance
