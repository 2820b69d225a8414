"""A search that limits latency: its device table has to be of the space and the resolution that it searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DeviceTableError, SpaceError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import Constraints
from autonl_core.spec.constraints import measures_of
from autonl_core.spec.device_table import DeviceTable, distinct_blocks, measure_command
from autonl_core.spec.feasibility import resolution_of, resolve_space
from autonl_core.spec.recipe import settle
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import require_space, spaces_made_for
from autonl_core.spec.weight_set import WeightSet

_LEAST_CLASSES = 2


def with_device_table(config: SearchConfig, dataset: DatasetSpec, table: DeviceTable | None) -> SearchConfig:
    """`config` with its latency predicted by `table`, in the space and at the resolution of the table.

    A search that names neither gets those of the table, as long as its images have this size.

    Args:
        table: None: no device table is given.

    Raises:
        DeviceTableError: there is no table for the limit, or no limit, or the table is of another space or resolution.
        SpaceError: the space is unknown, or none serves the resolution.
    """
    asked = config.constraints
    if asked.latency_ms is None:
        if table is not None or asked.device_table_sha256 is not None:
            raise DeviceTableError("there is a device table, and no limit for it: set constraints.latency_ms, as 3.0")
        return config
    resolution = resolution_of(config, dataset)
    space = config.search_space or spaces_made_for(resolution)[0].name
    if table is None:
        raise DeviceTableError(
            f"constraints.latency_ms {asked.latency_ms:g} needs the table of a device, as --device-table table.json; "
            f"to measure this one: {measure_command(space, resolution)}"
        )
    if asked.device_table_sha256 not in (None, table.sha256):
        raise DeviceTableError(
            f"the search was configured for the device table {asked.device_table_sha256}, and the one given is "
            f"{table.sha256}; give the former, or leave device_table_sha256 out"
        )
    if config.search_space is None and resolution == table.resolution:
        space = table.space
    if (space, resolution) != (table.space, table.resolution):
        raise DeviceTableError(
            f"the device table is of {table.space!r} at {table.resolution} pixels, and the search is in {space!r} at "
            f"{resolution}; set resolution: {table.resolution} and search_space: {table.space}, or measure the device: "
            f"{measure_command(space, resolution, table.machine.threads)}"
        )
    _require_all_parts(table)
    own = {"search_space": space, "resolution": resolution, "constraints": asked.on(table)}
    return config.model_copy(update=own)


def as_without_latency(config: SearchConfig, dataset: DatasetSpec, known: Mapping[str, WeightSet]) -> SearchConfig:
    """`config` in the space, at the resolution and from the weights of the same search without its limit of latency.

    That is what the table of a device is to be made for, where none is given.

    Args:
        known: the weight sets there are, by name.

    Raises:
        SpaceError, BudgetError, ConstraintError, ParentError, WeightSetError: it is no possible search.
    """
    others = config.constraints.model_copy(update={"latency_ms": None})
    settled = settle(config.model_copy(update={"constraints": others}), dataset, known)
    space = resolve_space(settled, dataset)
    found = {"search_space": space.name, "resolution": space.resolution, "init": settled.init}
    return config.model_copy(update=found)


def _require_all_parts(table: DeviceTable) -> None:
    """Raises DeviceTableError, naming the first fault of the table."""
    if (fault := next(faults_of(table), None)) is not None:
        raise DeviceTableError(f"the device table {fault.detail}; {table.remeasure()}")


@dataclass(frozen=True)
class TableFault:
    """Why no search can go by a device table: where in its JSON, and what, as the end of "the device table ..."."""

    place: tuple[str, ...]
    detail: str


def faults_of(table: DeviceTable) -> Iterator[TableFault]:
    """Everything that keeps a well-formed device table from being one of its space in this version."""
    try:
        family = require_space(table.space)
    except SpaceError as error:
        yield TableFault(("space",), f"is of another space: {error}")
        return
    try:
        spaces = family.with_every_head(table.resolution, _LEAST_CLASSES)
    except SpaceError as error:
        yield TableFault(("resolution",), f"is of another resolution: {error}")
        return
    heads = {str(space.head_channels) for space in spaces}
    blocks = distinct_blocks(spaces[0]).keys()
    parts = [
        *_other_parts("ends_ns", "a head of {} channels", heads, table.ends_ns.keys()),
        *_other_parts("blocks_ns", "block {!r}", blocks, table.blocks_ns.keys()),
    ]
    yield from parts
    if not parts and _fastest_ns(table, spaces) <= 0:
        yield TableFault(("calibration", "overhead_ns"), "says that the fastest network takes no time")


def _other_parts(field: str, part: str, needed: Set[str], given: Set[str]) -> Iterator[TableFault]:
    for key in sorted(needed - given):
        yield TableFault((field, key), f"has no time of {part.format(key)}")
    for key in sorted(given - needed):
        yield TableFault((field, key), f"has a time of {part.format(key)}, which the space does not have")


def _fastest_ns(table: DeviceTable, spaces: Sequence[SearchSpace]) -> int:
    """What the fastest network takes of spaces that differ in nothing but their heads."""
    heads_ns = [table.fixed_ns(space.head_channels, space.num_classes) for space in spaces]
    least_ns = measures_of(Constraints(latency_ms=1.0).on(table))["latency_ms"].least_of(spaces[0])
    return least_ns - heads_ns[0] + min(heads_ns)
