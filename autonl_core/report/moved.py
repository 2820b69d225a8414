"""How the network that the search would derive moved over the epochs of the supernet."""

from __future__ import annotations

from collections.abc import Sequence

from autonl_core.report.facts import Facts
from autonl_core.report.table import Table
from autonl_core.spec.arch_string import decode
from autonl_core.spec.architecture_history import first_middle_last, options_at
from autonl_core.spec.history import PlacedNetwork
from autonl_core.spec.macs import count_macs

ABOUT_MOVES = (
    "What stood at each position of the supernet after the first, the middle and the last epoch, had the search ended "
    "then, and what was derived, by candidates and finalists. k: kernel, e: expansion, NL: LightNL with ratio and "
    "stride (s)."
)


def moves(facts: Facts) -> Table | None:
    """Options by position; None: the supernet had no epoch of its own, or an earlier version began the search."""
    networks = facts.history.networks
    epochs = [one for one in networks if one.epoch is not None]
    if not epochs:
        return None
    shown = [*first_middle_last(epochs), *(one for one in networks if one.epoch is None)]
    architectures = [decode(one.arch_string) for one in shown]
    options = [options_at(arch, one.skipped) for arch, one in zip(architectures, shown, strict=True)]
    rows = [
        (str(number), *(option.name for option in found)) for number, found in enumerate(zip(*options, strict=True), 1)
    ]
    macs = ("MACs", *(f"{count_macs(arch).total:,}" for arch in architectures))
    return Table(("position", *_titles(shown)), (*rows, macs), tuple(range(len(shown) + 1)))


def _titles(shown: Sequence[PlacedNetwork]) -> list[str]:
    return ["derived" if one.epoch is None else f"epoch {one.epoch}" for one in shown]
