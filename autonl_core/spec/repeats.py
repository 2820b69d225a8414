"""A search that is repeated with other seeds: how much of its result is luck.

Each repeat is a search of its own that differs in nothing but the seed. Nothing is shared, so what they agree on is a
property of dataset and budget, and what they differ in is the noise that a single search hides.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.side_by_side.layers import stages_of

SKIPPED = "skipped"
# Student's t for two-sided 95%, by degrees of freedom from 1: as many as there can be with 16 searches.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
      2.1314)  # fmt: skip


def other_seeds(first: SearchConfig, first_id: str) -> Iterator[SearchConfig]:
    """The searches that repeat `first`, which has the id `first_id`; a repeat has none itself."""
    if first.repeat_of is None:
        for seed in range(first.seed + 1, first.seed + first.repeat):
            repeat = SearchConfig.model_validate({**first.to_json(), "seed": seed, "repeat_of": first_id})
            yield repeat.model_copy(update={"constraints": first.constraints})  # with their device table


def first_of_repeats(config: SearchConfig, search_id: str) -> str | None:
    """The search that the one with the id `search_id` repeats, perhaps itself; None: it is to run once."""
    return (config.repeat_of or search_id) if config.repeat > 1 else None


@dataclass(frozen=True)
class Spread:
    """Top-1 over repeats, in percent.

    Args:
        deviation: sample standard deviation; None: of a single one there is none.
        interval: 95% interval of the mean, by Student's t, cut at 0 and 100; None likewise.
    """

    count: int
    mean: float
    lowest: float
    highest: float
    deviation: float | None
    interval: tuple[float, float] | None


def spread_of(top1_pct: Sequence[float]) -> Spread | None:
    """None if there is none yet."""
    if not top1_pct:
        return None
    count, mean = len(top1_pct), statistics.fmean(top1_pct)
    if count == 1:
        return Spread(count, mean, min(top1_pct), max(top1_pct), None, None)
    deviation = statistics.stdev(top1_pct)
    half = _T[count - 2] * deviation / count**0.5
    return Spread(
        count, mean, min(top1_pct), max(top1_pct), deviation, (max(0.0, mean - half), min(100.0, mean + half))
    )


@dataclass(frozen=True)
class OptionWins:
    """How many of several networks have this option as the `block`-th of a stage; both are counted from 1."""

    stage: int
    block: int
    option: str
    count: int


def option_wins(networks: Sequence[ArchSpec]) -> list[OptionWins]:
    """How often each option won, the most frequent first, for every place at which any of the networks has a block."""
    staged = [[[_option(block) for block in blocks] for blocks in stages_of(network)] for network in networks]
    wins = []
    for stage in range(max(map(len, staged), default=0)):
        rows = [network[stage] if stage < len(network) else [] for network in staged]
        for block in range(max(map(len, rows))):
            options = Counter(row[block] if block < len(row) else SKIPPED for row in rows)
            ordered = sorted(options.items(), key=lambda one: (-one[1], one[0]))
            wins += [OptionWins(stage + 1, block + 1, option, count) for option, count in ordered]
    return wins


def _option(block: BlockSpec) -> str:
    """What a search chooses in a block, in the notation of arch strings: "k5_e3_nl0.25-2"."""
    light_nl = f"_nl{block.light_nl.nl_ratio:g}-{block.light_nl.nl_stride}" if block.light_nl else ""
    return f"k{block.kernel_size}_e{block.expand_ratio:g}{light_nl}"
