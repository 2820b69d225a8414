"""The binary choices that a position of a search space can offer, each open (the larger choice) or closed.

    kernel      5x5 instead of 3x3            present   the layer is there instead of skipped
    expand      the largest expansion         light_nl  LightNL is inserted
    nl_ratio    .25 instead of .125           nl_stride stride 1 instead of 2

More than two expansions are a chain of gates: `expand_3` opens 3x instead of what is below it, `expand` 6x instead of
what is below that. A gate that an option makes meaningless (all others of a skipped layer, the ratio of a LightNL that
is not there, an expansion above one that is closed) is *free*: the option does not depend on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from autonl_core.spec.arch import BlockSpec
from autonl_core.spec.search_space import BlockChoices, Option

OPEN, CLOSED, FREE = 1, 0, -1


@dataclass(frozen=True)
class GateKind:
    """One kind of gate.

    `offered(choices)`: whether a position has such a gate. `is_open(choices, block)`: how the gate stands in a block;
    None where it is free. `title` names the open gate in reports.
    """

    name: str
    title: str
    offered: Callable[[BlockChoices], bool]
    is_open: Callable[[BlockChoices, BlockSpec], bool | None]

    def setting(self, choices: BlockChoices, option: Option) -> int:
        """OPEN, CLOSED or FREE, in this option of a position."""
        if option is None:
            return CLOSED if self.name == "present" else FREE
        stands_open = self.is_open(choices, option)
        return FREE if stands_open is None else int(stands_open)


def _largest_ratio(choices: BlockChoices, block: BlockSpec) -> bool | None:
    return None if block.light_nl is None else block.light_nl.nl_ratio == choices.nl_ratios[-1]


def _smallest_stride(choices: BlockChoices, block: BlockSpec) -> bool | None:
    return None if block.light_nl is None else block.light_nl.nl_stride == choices.nl_strides[-1]


def expansion_gates(choices: BlockChoices) -> dict[str, tuple[int, int]]:
    """By name, the expansion below a gate and the one that it opens; small to large."""
    ratios = choices.expand_ratios
    names = [*(f"expand_{ratio}" for ratio in ratios[1:-1]), "expand"]
    return dict(zip(names, itertools.pairwise(ratios), strict=False))


def _expansion(name: str, title: str) -> GateKind:
    def is_open(choices: BlockChoices, block: BlockSpec) -> bool | None:
        below, ratio = expansion_gates(choices)[name]
        return None if block.expand_ratio < below else block.expand_ratio >= ratio

    return GateKind(name, title, offered=lambda choices: name in expansion_gates(choices), is_open=is_open)


GATE_KINDS = (
    GateKind(
        "kernel",
        "kernel 5",
        offered=lambda choices: len(choices.kernel_sizes) > 1,
        is_open=lambda choices, block: block.kernel_size == choices.kernel_sizes[-1],
    ),
    *(_expansion(f"expand_{ratio}", f"expansion {ratio}") for ratio in (2, 3, 4)),
    _expansion("expand", "expansion 6"),
    GateKind(
        "present",
        "layer is kept",
        offered=lambda choices: choices.can_skip,
        is_open=lambda choices, block: True,
    ),
    GateKind(
        "light_nl",
        "LightNL",
        offered=lambda choices: bool(choices.nl_ratios),
        is_open=lambda choices, block: block.light_nl is not None,
    ),
    GateKind(
        "nl_ratio",
        "LightNL ratio 0.25",
        offered=lambda choices: len(choices.nl_ratios) > 1,
        is_open=_largest_ratio,
    ),
    GateKind(
        "nl_stride",
        "LightNL stride 1",
        offered=lambda choices: len(choices.nl_strides) > 1,
        is_open=_smallest_stride,
    ),
)


def gates_of(choices: BlockChoices) -> list[GateKind]:
    """The gates that a position has, in the order of GATE_KINDS: none where there is nothing to choose."""
    return [kind for kind in GATE_KINDS if kind.offered(choices)]
