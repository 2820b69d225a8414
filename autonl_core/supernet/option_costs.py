"""What the options of a space cost: all that landing on a budget needs to know of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Choice = tuple[int, ...]  # one option index per position


class OptionCosts:
    """MACs of every option of every position, and of what all networks have: the MACs of a network are their sum."""

    def __init__(self, name: str, fixed_macs: int, costs: Sequence[NDArray[np.int64]]) -> None:
        """`name` is that of the space; `costs` holds, per position, the MACs of its options, (options,)."""
        self.name, self.fixed_macs, self.costs = name, fixed_macs, list(costs)

    def macs(self, choice: Choice) -> int:
        """MACs of the network that `choice` builds."""
        return self.fixed_macs + sum(int(costs[i]) for costs, i in zip(self.costs, choice, strict=True))

    def macs_range(self) -> tuple[int, int]:
        """MACs of the smallest and of the largest network."""
        smallest, largest = (sum(int(of(costs)) for costs in self.costs) for of in (np.min, np.max))
        return self.fixed_macs + smallest, self.fixed_macs + largest
