"""Width multipliers: one architecture at other costs, so that networks can be compared at equal MACs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autonl_core.errors import BudgetError
from autonl_core.spec.arch import WIDTH_MULTIPLE, ArchSpec, make_divisible
from autonl_core.spec.arch_string import encode
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.strides import fit_strides
from autonl_core.spec.zoo import PublishedNet, adapt

TOLERANCE = 0.03  # how far from the asked MACs a scaled network may lie, as a share of them
MAX_MULTIPLIER = 64.0
_MIN_MULTIPLIER = 2.0**-10
_BISECTIONS = 48  # halvings of [_MIN_MULTIPLIER, MAX_MULTIPLIER]: below the distance of any two useful multipliers


def scale_width(arch: ArchSpec, multiplier: float, multiple: int = WIDTH_MULTIPLE) -> ArchSpec:
    """Every layer's width times `multiplier`, rounded to `multiple` by `make_divisible`.

    The last layer before the classifier gets wider but never narrower than it was, as in the MobileNets: a few classes
    fewer features, but a thousand classes need theirs. Ratios (expansion, squeeze, LightNL) stay what they are; a width
    is never rounded so far down that LightNL would be left without a channel.
    """
    return _with_widths(arch, _scaled_widths(arch, multiplier, multiple))


@functools.lru_cache(maxsize=256)
def scale_to_macs(arch: ArchSpec, macs: int, resolution: int | None = None, num_classes: int | None = None) -> ArchSpec:
    """`arch` for `resolution` and `num_classes`, with the width multiplier that brings it closest to `macs`.

    Widths are multiples of 8. Where these are too coarse to come within 3% (small networks), of 4, 2 or 1. Strides that
    an input of few pixels does not allow are dropped first (`fit_strides`).

    Raises:
        BudgetError: no width multiplier up to 64 comes within 3%. Between 20M and 600M MACs at 224 pixels one always
            does; among the very smallest networks of an architecture, steps are wider than that.
    """
    arch = fit_strides(adapt(arch, resolution=resolution, num_classes=num_classes))
    low = count_macs(scale_width(arch, _MIN_MULTIPLIER, 1)).total
    high = count_macs(scale_width(arch, MAX_MULTIPLIER)).total
    where = f"{macs:,} MACs at {arch.resolution} pixels and {arch.num_classes} classes"
    if not (1 - TOLERANCE) * low <= macs <= (1 + TOLERANCE) * high:
        raise BudgetError(
            f"no width multiplier brings this network to {where}; choose between {low:,} and {high:,}",
            feasible_macs=(low, high),
        )
    for multiple in (WIDTH_MULTIPLE, 4, 2, 1):
        closest = _closest(arch, multiple, macs)
        found = count_macs(closest).total
        if abs(found - macs) <= TOLERANCE * macs:
            return closest
    raise BudgetError(
        f"no width multiplier comes within 3% of {where}; the closest network has {found:,}", feasible_macs=(low, high)
    )


def describe_net(
    net: PublishedNet, resolution: int, num_classes: int, budget_macs: int | None = None
) -> dict[str, Any]:
    """A published network's own figures, and ours for this input and class count, scaled to the budget if one is given.

    `arch_string`, `macs` and `params` are None where no width multiplier reaches the budget.
    """
    arch: ArchSpec | None = fit_strides(adapt(net.arch, resolution=resolution, num_classes=num_classes))
    if budget_macs is not None:
        try:
            arch = scale_to_macs(net.arch, budget_macs, resolution, num_classes)
        except BudgetError:
            arch = None
    return {
        "name": net.name,
        "title": net.title,
        "published_macs": net.macs,
        "published_params": net.params,
        "published_top1_pct": net.top1_pct,
        "source": net.source,
        "arch_string": arch and encode(arch),
        "macs": arch and count_macs(arch).total,
        "params": arch and count_params(arch),
    }


def _closest(arch: ArchSpec, multiple: int, macs: int) -> ArchSpec:
    """MACs grow with the multiplier in steps: bisect to the step that crosses `macs`, then take its nearer side.

    Most halvings lie within one step, where widths were seen before; these are not counted again.
    """
    counted: dict[tuple[int, ...], tuple[ArchSpec, int]] = {}

    def scaled(multiplier: float) -> tuple[ArchSpec, int]:
        widths = _scaled_widths(arch, multiplier, multiple)
        key = tuple(widths.values())
        if key not in counted:
            network = _with_widths(arch, widths)
            counted[key] = network, count_macs(network).total
        return counted[key]

    low, high = _MIN_MULTIPLIER, MAX_MULTIPLIER
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if scaled(middle)[1] < macs:
            low = middle
        else:
            high = middle
    return min(scaled(low), scaled(high), key=lambda found: abs(found[1] - macs))[0]


def _scaled_widths(arch: ArchSpec, multiplier: float, multiple: int) -> dict[int, int]:
    """What every width of the network becomes. Those of its last layers are kept apart by `_with_widths`."""
    least = _least_widths(arch)
    outputs = (block.out_channels for block in arch.blocks)
    widths = dict.fromkeys((arch.stem_channels, *outputs, arch.head_channels, arch.hidden_channels))
    return {width: max(make_divisible(width * multiplier, multiple), least.get(width, 1)) for width in widths}


def _with_widths(arch: ArchSpec, widths: Mapping[int, int]) -> ArchSpec:
    """The network with these widths, but no fewer features before its classifier than it has."""
    blocks = (
        replace(block, in_channels=widths[block.in_channels], out_channels=widths[block.out_channels])
        for block in arch.blocks
    )
    head, hidden = (max(width, widths[width]) for width in (arch.head_channels, arch.hidden_channels))
    return replace(
        arch,
        stem_channels=widths[arch.stem_channels],
        blocks=tuple(blocks),
        head_channels=widths[arch.head_channels] if arch.hidden_channels else head,
        hidden_channels=hidden if arch.hidden_channels else 0,
    )


def _least_widths(arch: ArchSpec) -> dict[int, int]:
    """For each width that carries LightNL, the narrowest that leaves its affinity a channel."""
    least: dict[int, int] = {}
    for block in arch.blocks:
        if block.light_nl is not None:
            needed = next(w for w in itertools.count(1) if int(block.light_nl.nl_ratio * w) >= 1)
            least[block.out_channels] = max(needed, least.get(block.out_channels, 1))
    return least
