"""The multiplier that keeps the hard architecture's MACs at a budget which tightens over the search."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class BudgetController:
    """Holds the MACs of the *hard* architecture at a budget that tightens over the search.

    With h = log(F / B_k) the search adds lambda h + rho/2 h^2 to its loss and lambda rises by eta h per step (the
    method of multipliers). F is evaluated at the hard architecture, because constraining expected MACs leaves the hard
    network far off. B_k falls geometrically from `start_macs` to `budget_macs`.
    """

    start_macs: int
    budget_macs: int
    rho: float = 1.0
    eta: float = 0.02
    multiplier: float = 0.0

    def target_macs(self, progress: float) -> float:
        """B_k after the share `progress` (0 to 1) of the ramp."""
        share = min(1.0, max(0.0, progress))
        return float(self.start_macs ** (1 - share) * self.budget_macs**share)

    def pressure(self, hard_macs: float, progress: float) -> float:
        """The derivative of the penalty in log F, after a step of the multiplier."""
        h = math.log(hard_macs / self.target_macs(progress))
        self.multiplier += self.eta * h
        return self.multiplier + self.rho * h
