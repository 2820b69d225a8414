"""What a search reports of its network after epochs of its supernet, with options and gates drawn at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.architecture_history import ReportedNetwork
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.gate_kinds import gates_of
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import ArchitectureRecord, PlaceInSupernet
from autonl_core.spec.search_space import Option, SearchSpace
from store.leases import Lease
from store.stores import Stores
from tests.store import sample_rows as samples

SPACE = resolve_space(samples.CONFIG, DIGITS)


def options_of(seed: int, space: SearchSpace = SPACE) -> list[Option]:
    """An option for each position of the space."""
    rng = random.Random(seed)
    return [rng.choice(choices.options()) for choices in space.blocks]


def gates_at(seed: int, space: SearchSpace = SPACE) -> dict[str, float]:
    """Metrics of an epoch: how likely each gate is open."""
    rng = random.Random(seed)
    places = enumerate(space.blocks)
    return {f"gate/{place}.{kind.name}": rng.random() for place, choices in places for kind in gates_of(choices)}


def place_of(options: Sequence[Option], epoch: int | None) -> PlaceInSupernet:
    return PlaceInSupernet(tuple(place for place, option in enumerate(options, 1) if option is None), epoch)


def network(
    epoch: int | None, options: Sequence[Option], gates: Mapping[str, float], space: SearchSpace = SPACE
) -> ReportedNetwork:
    """As a store has it."""
    values = {} if epoch is None else {"loss": 1.0, "expected_macs": 390_000.0, **gates}
    skipped = place_of(options, epoch).skipped
    return ReportedNetwork(
        epoch, 1, datetime(2026, 1, 2, tzinfo=UTC), space.build(list(options)), skipped, 70.0, values
    )


def history(*seeds: int, derived: int | None = None, space: SearchSpace = SPACE) -> list[ReportedNetwork]:
    """An epoch for each seed; what was derived has a seed too."""
    found = [
        network(epoch, options_of(seed, space), gates_at(seed, space), space) for epoch, seed in enumerate(seeds, 1)
    ]
    return found if derived is None else [*found, network(None, options_of(derived, space), {}, space)]


def report(stores: Stores, lease: Lease, networks: Sequence[ReportedNetwork]) -> None:
    """Report them as a running search does."""
    for each in networks:
        if each.epoch is not None:
            finite = {name: value for name, value in each.values.items() if value is not None}
            stores.updates.metrics(lease, "searching", each.epoch, finite)
        place = PlaceInSupernet(each.skipped, each.epoch)
        stores.updates.architecture(lease, _record(each.arch, each.val_top1_pct), place)


def same_but_for(options: Sequence[Option], position: int) -> list[Option]:
    """The same options, another one at `position` (from 1)."""
    others = [option for option in SPACE.blocks[position - 1].options() if option != options[position - 1]]
    return [*options[: position - 1], others[0], *options[position:]]


def _record(arch: ArchSpec, val_top1_pct: float | None) -> ArchitectureRecord:
    return ArchitectureRecord(
        arch_id=arch.arch_id,
        arch=arch.to_json(),
        arch_string=arch_string.encode(arch),
        macs=count_macs(arch).total,
        params=count_params(arch),
        val_top1_pct=val_top1_pct,
        val_images=215,
    )
