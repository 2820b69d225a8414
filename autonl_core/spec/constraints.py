"""What a network may have at most besides MACs, and how much of it an architecture has.

Parameters and bytes of weights add up over the layers, so that a search meets these limits exactly, as it does its
budget. Of activation memory the largest operator decides, so that a limit rules out single options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autonl_core.errors import ConstraintError
from autonl_core.spec.activation_memory import block_peak_bytes, peak_activation_bytes
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.config_sections import Constrained, Constraints
from autonl_core.spec.macs import block_params, count_params
from autonl_core.spec.search_space import Option, SearchSpace
from autonl_core.spec.weights_size import block_weights_bytes, weights_bytes


@dataclass(frozen=True)
class Measure:
    """Something of an architecture that can be limited.

    Args:
        of: how much of it an architecture has.
        of_block: how much a block has whose input is a map of so many pixels a side.
        unit: after a number, in messages.
        adds_up: whether a network has the sum over its parts; if not, as much as the largest part.
    """

    of: Callable[[ArchSpec], int]
    of_block: Callable[[BlockSpec, int], int]
    unit: str
    adds_up: bool = True

    def of_option(self, space: SearchSpace, position: int, option: Option) -> int:
        """How much an option has at a position of a space."""
        return 0 if option is None else self.of_block(option, space.sizes[position])


MEASURES: dict[Constrained, Measure] = {
    "params": Measure(count_params, lambda block, _: block_params(block), "parameters"),
    "weights_bytes": Measure(weights_bytes, lambda block, _: block_weights_bytes(block), "bytes of weights"),
    "peak_activation_bytes": Measure(peak_activation_bytes, block_peak_bytes, "bytes of activations", adds_up=False),
}


def unmet(constraints: Constraints, arch: ArchSpec) -> dict[Constrained, int]:
    """What `arch` has too much of, and how much it has."""
    measured = {name: MEASURES[name].of(arch) for name in constraints.limits}
    return {name: amount for name, amount in measured.items() if amount > constraints.limits[name]}


def check_constraints(constraints: Constraints, spaces: Iterable[SearchSpace]) -> None:
    """Whether one of the spaces has a network that meets all limits, whatever its MACs.

    Its smallest network has the least of everything.

    Raises:
        ConstraintError: none has; with the limit that the space which comes nearest misses, and what it needs.
    """
    missed = [(space, unmet(constraints, space.smallest())) for space in spaces]
    if not missed or not all(amounts for _, amounts in missed):
        return
    space, amounts = min(missed, key=lambda one: max(_excess(constraints, one[1])))
    name = max(amounts, key=lambda each: amounts[each] / constraints.limits[each])
    raise ConstraintError(
        f"constraints.{name} {constraints.limits[name]:,} is below the {amounts[name]:,} {MEASURES[name].unit} of the "
        f"smallest network of {space.name!r} at {space.resolution} pixels and {space.num_classes} classes; choose at "
        f"least as much{_or_fewer_pixels(name)}",
        name=name,
        least=amounts[name],
    )


def _excess(constraints: Constraints, amounts: dict[Constrained, int]) -> list[float]:
    return [amount / constraints.limits[name] for name, amount in amounts.items()]


def _or_fewer_pixels(name: Constrained) -> str:
    return ", or a lower `resolution`" if name == "peak_activation_bytes" else ""
