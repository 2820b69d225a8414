"""What the options of a space cost: all that landing on a budget needs to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Choice = tuple[int, ...]  # one option index per position


@dataclass(frozen=True)
class Limit:
    """Networks may have `at_most` of something: `fixed`, which all have, and what their options add to it.

    `costs` holds, per position, what its options have, (options,). A network that fills the limit has `at_least` of it.
    """

    name: str
    fixed: int
    costs: Sequence[NDArray[np.int64]]
    at_most: int
    at_least: int = 0

    def of(self, choice: Choice) -> int:
        """How much the network has that `choice` builds."""
        return self.fixed + sum(int(costs[i]) for costs, i in zip(self.costs, choice, strict=True))


class OptionCosts:
    """MACs of every option of every position, and of what all networks have: the MACs of a network are their sum."""

    def __init__(
        self,
        name: str,
        fixed_macs: int,
        costs: Sequence[NDArray[np.int64]],
        limits: Sequence[Limit] = (),
        ruled_out: Sequence[NDArray[np.bool_]] = (),
    ) -> None:
        """What is not allowed whatever the MACs are: more than the `limits`, and options that are `ruled_out`.

        Args:
            name: of the space.
            costs: per position, the MACs of its options, (options,).
            ruled_out: per position, which of its options no network may have, (options,); empty: all may be had.
        """
        self.name, self.fixed_macs, self.costs, self.limits = name, fixed_macs, list(costs), tuple(limits)
        self.most_macs: dict[int, Choice] = {}  # by budget: what was found within all limits
        self.ruled_out = list(ruled_out) or [np.zeros(len(each), dtype=bool) for each in costs]

    @property
    def limited(self) -> bool:
        """Whether anything but MACs is limited."""
        return bool(self.limits) or any(bool(out.any()) for out in self.ruled_out)

    def macs(self, choice: Choice) -> int:
        """MACs of the network that `choice` builds."""
        return self.fixed_macs + sum(int(costs[i]) for costs, i in zip(self.costs, choice, strict=True))

    def macs_range(self) -> tuple[int, int]:
        """MACs of the smallest and of the largest network, whatever is limited besides."""
        smallest, largest = (sum(int(of(costs)) for costs in self.costs) for of in (np.min, np.max))
        return self.fixed_macs + smallest, self.fixed_macs + largest

    def allows(self, choice: Choice) -> bool:
        """Whether the network that `choice` builds meets all limits but that of MACs."""
        possible = not any(bool(out[i]) for out, i in zip(self.ruled_out, choice, strict=True))
        return possible and all(limit.of(choice) <= limit.at_most for limit in self.limits)

    def fills(self, choice: Choice) -> bool:
        """Whether the network has at least as much as networks should that fill the limits."""
        return all(limit.of(choice) >= limit.at_least for limit in self.limits)
