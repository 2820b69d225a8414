"""What a network may have at most besides MACs, and how much of it an architecture has.

Parameters and bytes of weights add up over the layers, so that a search meets these limits exactly, as it does its
budget. So does latency, as a device table predicts it. Of activation memory the largest operator decides, so that a
limit rules out single options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autonl_core.errors import ConstraintError, DeviceTableError
from autonl_core.spec.activation_memory import block_peak_bytes, peak_activation_bytes
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.config_sections import Constrained, Constraints, Limited
from autonl_core.spec.device_table import NS_PER_MS, DeviceTable
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
        per_unit: how much is one `unit`.
    """

    of: Callable[[ArchSpec], int]
    of_block: Callable[[BlockSpec, int], int]
    unit: str
    adds_up: bool = True
    per_unit: int = 1

    def of_option(self, space: SearchSpace, position: int, option: Option) -> int:
        """How much an option has at a position of a space."""
        return 0 if option is None else self.of_block(option, space.sizes[position])

    def least_of(self, space: SearchSpace) -> int:
        """What every network of a space has at least. Sums are least where every option has the least."""
        smallest = space.smallest_options()
        least = self.of(space.build(smallest))
        if not self.adds_up:
            return least
        own = sum(self.of_option(space, position, option) for position, option in enumerate(smallest))
        return (
            least
            - own
            + sum(
                min(self.of_option(space, position, option) for option in choices.options())
                for position, choices in enumerate(space.blocks)
            )
        )

    def text(self, amount: int) -> str:
        """An amount as people write it, in `unit`."""
        return f"{amount:,}" if self.per_unit == 1 else f"{amount / self.per_unit:,.3f}"


MEASURES: dict[Constrained, Measure] = {
    "params": Measure(count_params, lambda block, _: block_params(block), "parameters"),
    "weights_bytes": Measure(weights_bytes, lambda block, _: block_weights_bytes(block), "bytes of weights"),
    "peak_activation_bytes": Measure(peak_activation_bytes, block_peak_bytes, "bytes of activations", adds_up=False),
}


def measures_of(constraints: Constraints) -> dict[Limited, Measure]:
    """How everything is measured that `constraints` limit.

    Raises:
        DeviceTableError: latency is limited, and there is no device table.
    """
    return {name: _measure(name, constraints.table) for name in constraints.limits}


def _measure(name: Limited, table: DeviceTable | None) -> Measure:
    if name != "latency_ms":
        return MEASURES[name]
    if table is None:
        raise DeviceTableError("constraints.latency_ms needs the table of a device; give its file as --device-table")
    return Measure(table.network_ns, table.block_ns, "ms by the device table", per_unit=NS_PER_MS)


def missed_by_all(constraints: Constraints, space: SearchSpace) -> dict[Limited, int]:
    """What every network of a space has too much of, whatever its MACs, and how much the one with the least has."""
    least = {name: measure.least_of(space) for name, measure in measures_of(constraints).items()}
    return {name: amount for name, amount in least.items() if amount > constraints.limits[name]}


def check_constraints(constraints: Constraints, spaces: Iterable[SearchSpace]) -> None:
    """Whether one of the spaces has a network that meets each limit, whatever its MACs.

    Raises:
        ConstraintError: none has; with the limit that the space which comes nearest misses, and what it needs.
    """
    missed = [(space, missed_by_all(constraints, space)) for space in spaces]
    if not missed or not all(amounts for _, amounts in missed):
        return
    space, amounts = min(missed, key=lambda one: max(_excess(constraints, one[1])))
    name = max(amounts, key=lambda each: amounts[each] / constraints.limits[each])
    measure = measures_of(constraints)[name]
    raise ConstraintError(
        f"constraints.{name} {measure.text(constraints.limits[name])} is below the {measure.text(amounts[name])} "
        f"{measure.unit} of the {'fastest' if name == 'latency_ms' else 'smallest'} network of {space.name!r} at "
        f"{space.resolution} pixels and {space.num_classes} classes; choose at least as much{_or_fewer_pixels(name)}",
        name=name,
        least=amounts[name],
    )


def _excess(constraints: Constraints, amounts: dict[Limited, int]) -> list[float]:
    return [amount / constraints.limits[name] for name, amount in amounts.items()]


def _or_fewer_pixels(name: Limited) -> str:
    return ", or a lower `resolution`" if name in ("peak_activation_bytes", "latency_ms") else ""
