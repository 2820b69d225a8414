"""A search that limits latency: its device table has to be of the space and the resolution that it searches."""

from __future__ import annotations

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DeviceTableError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_table import DeviceTable, distinct_blocks, measure_command
from autonl_core.spec.feasibility import resolution_of
from autonl_core.spec.space_families import require_space, spaces_made_for


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
    _require_all_parts(table, len(dataset.classes))
    own = {"search_space": space, "resolution": resolution, "constraints": asked.on(table)}
    return config.model_copy(update=own)


def _require_all_parts(table: DeviceTable, num_classes: int) -> None:
    """Whether the table has every part of its space. Raises DeviceTableError naming one that it lacks."""
    family = require_space(table.space)
    for head_channels in (family.head_channels, *family.narrower_heads):
        table.fixed_ns(head_channels, num_classes)
    for block, in_size in distinct_blocks(family.bind(table.resolution, num_classes)).values():
        table.block_ns(block, in_size)
