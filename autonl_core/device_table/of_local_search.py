"""Which device table a search without a service goes by: a given one, one that its folder keeps, or this machine's.

Where a search limits latency and no table is there, this machine is the device, and is measured.
"""

from __future__ import annotations

from pathlib import Path

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.device_table import ROUNDS
from autonl_core.errors import DeviceTableError
from autonl_core.files import write_atomically
from autonl_core.host.environment import launched_rank
from autonl_core.spec.builtin_weights import installed_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_search import as_without_latency, with_device_table
from autonl_core.spec.device_table import DeviceTable
from autonl_core.spec.space_families import require_space

DEVICE_TABLE_NAME = "device-table.json"
STATES_NAME = "states.json"  # of a search that has begun


def on_device(config: SearchConfig, dataset: DatasetSpec, path: Path | None, out: Path) -> SearchConfig:
    """`config` by the table of its device, if it limits latency: the one in `path` or in `out`, or this machine's.

    Ranks that another launcher started do not measure, because they would all do so at once.

    Raises:
        DeviceTableError: the table cannot be read, is of another search, or is missing.
        AutonlError: the search is not possible, whatever its limit of latency.
    """
    table = _given_or_kept(path, out)
    if path is None and config.constraints.latency_ms is not None:
        unlimited = as_without_latency(config, dataset, installed_weights())
        if table is None and launched_rank() is None:
            table = _measure(unlimited, out)
        if table is not None and (table.space, table.resolution) == (unlimited.search_space, unlimited.resolution):
            config = unlimited
    return with_device_table(config, dataset, table)


def _given_or_kept(path: Path | None, out: Path) -> DeviceTable | None:
    """The table that is given, or that an earlier run left in `out`, which keeps it; None: there is none.

    Raises:
        DeviceTableError: it cannot be read, or the search that has begun in `out` has another one.
    """
    kept = out / DEVICE_TABLE_NAME
    earlier = DeviceTable.read(kept) if kept.exists() else None
    if path is None:
        return earlier
    table = DeviceTable.read(path)
    if earlier is not None and earlier != table and (out / STATES_NAME).exists():
        raise DeviceTableError(
            f"{out} has a search with another device table; leave --device-table out, or change --out"
        )
    return _keep(table, out)


def _measure(config: SearchConfig, out: Path) -> DeviceTable:
    """The table of this machine, for the space and the resolution of `config`."""
    from autonl_core.device_table.measuring import Measurement  # with what exports, and few searches need now

    assert config.search_space is not None
    assert config.resolution is not None
    measurement = Measurement.prepare(require_space(config.search_space), config.resolution, threads=1)
    place = f"{config.search_space} at {config.resolution} pixels"
    print(f"measuring this machine for {place}, {ROUNDS * measurement.round_s():.0f} s; {out} keeps it", flush=True)
    return _keep(measurement.run(), out)


def _keep(table: DeviceTable, out: Path) -> DeviceTable:
    write_atomically(out / DEVICE_TABLE_NAME, lambda temporary: temporary.write_text(table.to_text()))
    return table
