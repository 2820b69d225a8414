"""How the network that a search would derive changed over the epochs of its supernet, position by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.gate_kinds import GATE_KINDS
from autonl_core.spec.macs import block_macs, block_sizes, count_macs

T = TypeVar("T")
GATE_PREFIX = "gate/"  # of metrics: "gate/4.kernel" is how likely that gate is open, at the fifth position
_TITLES = {kind.name: kind.title for kind in GATE_KINDS}
_DIGITS = 4  # of probabilities


@dataclass(frozen=True)
class ReportedNetwork:
    """The network that a search reported after an epoch of its supernet, or (`epoch` None) as derived.

    Args:
        skipped: positions of the supernet, from 1, at which it has no layer.
        values: the metrics of that epoch; empty if derived.
    """

    epoch: int | None
    attempt: int
    at: datetime
    arch: ArchSpec
    skipped: tuple[int, ...]
    val_top1_pct: float | None
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class PositionOption:
    """One concrete block at one position, or none: the layer is skipped. `name`: as in "k5 e6 NL 0.25 s1"."""

    name: str
    block: BlockSpec | None
    macs: int


@dataclass(frozen=True)
class HistoryPosition:
    """A position of the supernet, counted from 1, and the options that stood there at some time.

    Args:
        place: "stage 2 block 1", as in comparisons; skipped blocks count.
        in_size: height and width of its input in pixels.
    """

    position: int
    place: str
    in_size: int
    options: tuple[PositionOption, ...]


@dataclass(frozen=True)
class HistoryGate:
    """A gate of a position. `title` says what it opens."""

    position: int
    name: str
    title: str


@dataclass(frozen=True)
class HistoryEntry:
    """The network after an epoch, or (`epoch` None) as derived.

    Args:
        val_top1_pct: on validation images; after an epoch with the shared weights.
        expected_macs: mean MACs of networks drawn as likely as gates are open; None: derived.
        options: which option stands at each position, as places in `HistoryPosition.options`.
        gates: how likely each gate is open, 0 to 1; None: not finite; none at all: derived.
        changed: the positions at which another option stands than in the entry before.
    """

    epoch: int | None
    attempt: int
    at: datetime
    arch_id: str
    macs: int
    val_top1_pct: float | None
    expected_macs: float | None
    options: tuple[int, ...]
    gates: tuple[float | None, ...]
    changed: tuple[int, ...]


@dataclass(frozen=True)
class ArchitectureHistory:
    """All epochs that have ended, in order, and what was derived.

    `fixed_macs` are those of stem and head: with the MACs of the options of an entry they are its `macs`.
    """

    fixed_macs: int
    positions: tuple[HistoryPosition, ...]
    gates: tuple[HistoryGate, ...]
    epochs: tuple[HistoryEntry, ...]
    derived: HistoryEntry | None


NO_HISTORY = ArchitectureHistory(0, (), (), (), None)


def history_of(reported: Sequence[ReportedNetwork]) -> ArchitectureHistory:
    """The history that a search reported, in the order of its reports.

    An attempt that resumes repeats epochs that were not saved: what the earlier one had found after them, and derived
    from them, no longer counts. What was derived without an epoch before it (a search that goes on from another one,
    or of an earlier version) is no history.
    """
    entries = _that_count(reported)
    if not entries or entries[0].epoch is None:
        return NO_HISTORY
    placed = [options_at(each.arch, each.skipped) for each in entries]
    names = tuple(name for name in entries[0].values if name.startswith(GATE_PREFIX))
    options = [list(dict.fromkeys(column)) for column in zip(*placed, strict=True)]
    chosen = [tuple(known.index(option) for known, option in zip(options, each, strict=True)) for each in placed]
    before = [chosen[0], *chosen]
    rows = [_entry(*each, names) for each in zip(entries, chosen, before, strict=False)]
    arch = entries[0].arch
    return ArchitectureHistory(
        fixed_macs=count_macs(arch).total - sum(option.macs for option in placed[0]),
        positions=tuple(_positions(options, placed[0], arch)),
        gates=tuple(_gate(name) for name in names),
        epochs=tuple(row for row in rows if row.epoch is not None),
        derived=rows[-1] if rows[-1].epoch is None else None,
    )


def note_of(history: ArchitectureHistory, *, epochs: int, is_over: bool) -> str | None:
    """What there is to say where little or nothing moved, as a sentence; None: the entries speak for themselves.

    Args:
        epochs: of the supernet, as configured.
        is_over: whether the search is past the epochs of its supernet.
    """
    if not history.epochs:
        if epochs == 0:
            return "Nothing moved: this search takes the gates as another one left them, and learns nothing about them."
        if not is_over:
            return "The first epoch of the supernet has not ended yet."
        return (
            "How the architecture moved is not known: the search ended before an epoch of its supernet did, an earlier "
            "version ran it, or its events were deleted because of their age."
        )
    first, last = history.epochs[0], history.epochs[-1]
    if first.epoch != 1:
        return f"Known from epoch {first.epoch} on: an earlier version ran the epochs before."
    if any(entry.changed for entry in (*history.epochs, history.derived) if entry is not None):
        return None
    if len(history.epochs) == 1:
        if history.derived is None:
            return "Nothing moved so far: only one epoch of the supernet has ended."
        return "Nothing moved: the network that was derived is the one after the only epoch of the supernet."
    farthest = max(
        (abs(b - a) for a, b in zip(first.gates, last.gates, strict=True) if a is not None and b is not None),
        default=0.0,
    )
    return (
        "The network was the same after every epoch; between the first and the last one no gate moved by more than "
        f"{100 * farthest:.1f} points."
    )


def first_middle_last(epochs: Sequence[T]) -> list[T]:
    """The epochs that a table with room for three shows, each once; `epochs` is not empty."""
    return [epochs[place] for place in sorted({0, (len(epochs) - 1) // 2, len(epochs) - 1})]


def option_name(block: BlockSpec | None) -> str:
    """Kernel, expansion, and ratio and stride of LightNL: "k5 e6 NL 0.25 s1"."""
    if block is None:
        return "skipped"
    nl = block.light_nl
    return f"k{block.kernel_size} e{block.expand_ratio:g}" + (f" NL {nl.nl_ratio:g} s{nl.nl_stride}" if nl else "")


def _that_count(reported: Sequence[ReportedNetwork]) -> list[ReportedNetwork]:
    kept: list[ReportedNetwork] = []
    for each in reported:
        while kept and (kept[-1].epoch is None or (each.epoch is not None and kept[-1].epoch >= each.epoch)):
            kept.pop()
        kept.append(each)
    return kept


def options_at(arch: ArchSpec, skipped: Sequence[int]) -> list[PositionOption]:
    """The option at every position of the supernet; at those that are `skipped`, from 1, there is no layer."""
    placed = []
    blocks = iter(zip(arch.blocks, block_sizes(arch)[:-1], strict=True))
    for position in range(1, len(arch.blocks) + len(skipped) + 1):
        if position in skipped:
            placed.append(PositionOption(option_name(None), None, 0))
        else:
            block, in_size = next(blocks)
            placed.append(PositionOption(option_name(block), block, block_macs(block, in_size).total))
    return placed


def _positions(
    options: Sequence[Sequence[PositionOption]], placed: Sequence[PositionOption], arch: ArchSpec
) -> Iterator[HistoryPosition]:
    """`placed`: the options that `arch` has. A layer that is skipped leaves channels and size as they are."""
    sizes, built, stage, place = block_sizes(arch), 0, 0, 0
    for position, (known, option) in enumerate(zip(options, placed, strict=True), start=1):
        block = option.block
        begins = block is not None and (block.stride != 1 or block.in_channels != block.out_channels)
        stage, place = (stage + 1, 1) if begins or not stage else (stage, place + 1)
        yield HistoryPosition(position, f"stage {stage} block {place}", sizes[built], tuple(known))
        built += block is not None


def _gate(metric: str) -> HistoryGate:
    """Of a metric such as "gate/4.kernel", which counts positions from 0."""
    position, _, name = metric.removeprefix(GATE_PREFIX).partition(".")
    return HistoryGate(int(position) + 1, name, _TITLES.get(name, name))


def _entry(
    reported: ReportedNetwork, options: tuple[int, ...], before: tuple[int, ...], gates: Sequence[str]
) -> HistoryEntry:
    values = reported.values
    likely = [] if reported.epoch is None else [values.get(name) for name in gates]
    return HistoryEntry(
        epoch=reported.epoch,
        attempt=reported.attempt,
        at=reported.at,
        arch_id=reported.arch.arch_id,
        macs=count_macs(reported.arch).total,
        val_top1_pct=reported.val_top1_pct,
        expected_macs=values.get("expected_macs"),
        options=options,
        gates=tuple(None if value is None else round(value, _DIGITS) for value in likely),
        changed=tuple(
            position for position, pair in enumerate(zip(options, before, strict=True), 1) if pair[0] != pair[1]
        ),
    )
