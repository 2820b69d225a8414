"""Gates: the binary choices of a search space, their probabilities, and exact MACs as a function of them.

Every position of the supernet has up to six gates (`spec/gate_kinds.py`). An *option* is one concrete block of a
position, a *choice* one option index per position. The probability of an option does not depend on gates that are free
in it.

The MACs of a block depend on its own gates only, so a network's MACs are a sum over positions of a table look-up, and
their expectation under independent gates is multilinear: exact at every vertex, no proxy (`expected_macs`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import NO_CONSTRAINTS, Constraints
from autonl_core.spec.constraints import measures_of
from autonl_core.spec.gate_kinds import CLOSED, FREE, GATE_KINDS, OPEN, gates_of
from autonl_core.spec.progress import PlaceInSupernet
from autonl_core.spec.search_space import Option, SearchSpace
from autonl_core.supernet.option_costs import Choice, Limit, OptionCosts

_FILLED = 0.95  # of a limit of latency, where that and not the budget decides how large a network is


@dataclass(frozen=True)
class Gate:
    """The gate `name` of the block at `position`."""

    position: int
    name: str


class GateTable(OptionCosts):
    """All gates of a space, all options of its positions, and what each option costs in MACs."""

    def __init__(self, space: SearchSpace, constraints: Constraints = NO_CONSTRAINTS) -> None:
        self.space = space
        self.gates = [
            Gate(position, kind.name) for position, choices in enumerate(space.blocks) for kind in gates_of(choices)
        ]
        self.index = {gate: i for i, gate in enumerate(self.gates)}
        self.options: list[list[Option]] = [choices.options() for choices in space.blocks]
        costs = [
            np.array([space.option_macs(position, option) for option in options], dtype=np.int64)
            for position, options in enumerate(self.options)
        ]
        super().__init__(space.name, space.fixed_macs, costs, *self._limits(constraints))
        self.settings = [self._settings(position) for position in range(len(space.blocks))]
        self._tables: dict[torch.device, tuple[Tensor, Tensor, Tensor, Tensor]] = {}

    def _limits(self, constraints: Constraints) -> tuple[list[Limit], list[np.ndarray]]:
        """What adds up as limits; options that have too much of anything else as ruled out, per position (options,)."""
        limits, ruled_out = [], [np.zeros(len(options), dtype=bool) for options in self.options]
        smallest = self.space.smallest_options()
        for name, measure in measures_of(constraints).items():
            at_most = constraints.limits[name]
            costs = [
                np.array([measure.of_option(self.space, position, option) for option in options], dtype=np.int64)
                for position, options in enumerate(self.options)
            ]
            if measure.adds_up:
                own = sum(measure.of_option(self.space, place, option) for place, option in enumerate(smallest))
                at_least = math.ceil(_FILLED * at_most) if name == "latency_ms" else 0
                limits.append(Limit(name, measure.of(self.space.build(smallest)) - own, costs, at_most, at_least))
            else:
                ruled_out = [out | (amounts > at_most) for out, amounts in zip(ruled_out, costs, strict=True)]
        return limits, ruled_out

    def arch(self, choice: Choice) -> ArchSpec:
        """The architecture that `choice` builds."""
        return self.space.build([options[i] for options, i in zip(self.options, choice, strict=True)])

    def place_of(self, choice: Choice, epoch: int | None = None) -> PlaceInSupernet:
        """Where the blocks of the architecture stand that `choice` builds."""
        options = [options[i] for options, i in zip(self.options, choice, strict=True)]
        return PlaceInSupernet(tuple(place for place, option in enumerate(options, 1) if option is None), epoch)

    def choice_of(self, vertex: np.ndarray) -> Choice:
        """The choice at a vertex of the gate cube: `vertex` is (gates,) of 0 and 1."""
        return tuple(int(np.argmax(probabilities)) for probabilities in self.option_probabilities(vertex))

    def vertex_of(self, choice: Choice, free_value: float = 0.0) -> np.ndarray:
        """The vertex, (gates,) of 0 and 1, that gives `choice`; free gates take `free_value`."""
        vertex = np.full(len(self.gates), free_value)
        for settings, option, (start, stop) in zip(self.settings, choice, self._spans(), strict=True):
            values = settings[option]
            vertex[start:stop] = np.where(values == FREE, free_value, values)
        return vertex

    def option_probabilities(self, p: np.ndarray) -> list[np.ndarray]:
        """Per position, the probability of every option when gates open independently with probabilities `p`."""
        result = []
        for settings, (start, stop) in zip(self.settings, self._spans(), strict=True):
            own = p[start:stop]
            factors = np.where(settings == OPEN, own, np.where(settings == CLOSED, 1.0 - own, 1.0))
            result.append(factors.prod(axis=1))
        return result

    def expected_macs(self, p: Tensor) -> Tensor:
        """Expected MACs, a float64 scalar, differentiable in `p`, (gates,). Exact where all of `p` is 0 or 1."""
        gate_index, is_open, is_closed, cost = self._tables_on(p.device)
        own = torch.cat([p.double(), p.new_zeros(1, dtype=torch.float64)])[gate_index]  # (positions, options, 6)
        factors = is_open * own + is_closed * (1 - own) + (1 - is_open - is_closed)
        return (_product(factors) * cost).sum() + self.space.fixed_macs

    def leave_devices(self) -> None:
        """Keep no copy of the tables on a device; they are made again where they are needed again."""
        self._tables.clear()

    def _spans(self) -> list[tuple[int, int]]:
        """Where the gates of every position lie in the gate vector."""
        spans, start = [], 0
        for choices in self.space.blocks:
            stop = start + len(gates_of(choices))
            spans.append((start, stop))
            start = stop
        return spans

    def _settings(self, position: int) -> np.ndarray:
        """(options, gates of the position): OPEN, CLOSED or FREE."""
        choices = self.space.blocks[position]
        kinds = gates_of(choices)
        rows = [[kind.setting(choices, option) for kind in kinds] for option in self.options[position]]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(kinds))

    def _tables_on(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`_padded` on `device`, made once for each."""
        if device not in self._tables:
            gate_index, is_open, is_closed, cost = (table.to(device) for table in self._padded())
            self._tables[device] = gate_index, is_open, is_closed, cost
        return self._tables[device]

    def _padded(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Settings and costs of all positions in rectangular tensors, so that one product serves all."""
        shape = (len(self.options), max(len(options) for options in self.options), len(GATE_KINDS))
        gate_index = torch.full(shape, len(self.gates), dtype=torch.long)  # the padded gate is always free
        settings = torch.full(shape, FREE, dtype=torch.long)
        cost = torch.zeros(shape[:2], dtype=torch.float64)
        for position, (start, stop) in enumerate(self._spans()):
            count = len(self.options[position])
            gate_index[position, :count, : stop - start] = torch.arange(start, stop)
            settings[position, :count, : stop - start] = torch.from_numpy(self.settings[position])
            cost[position, :count] = torch.from_numpy(self.costs[position]).double()
        return gate_index, (settings == OPEN).double(), (settings == CLOSED).double(), cost


def _product(factors: Tensor) -> Tensor:
    """(positions, options, 6) -> (positions, options). Not `prod` on a GPU: its gradient has the host count zeros."""
    return factors.prod(dim=2) if factors.device.type == "cpu" else reduce(torch.mul, factors.unbind(dim=2))
