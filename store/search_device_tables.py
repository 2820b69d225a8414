"""The device table of a search that limits latency: kept with the search, which goes by it to its end."""

from __future__ import annotations

from sqlalchemy.orm import Session

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DeviceTableError, OtherVersion
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_search import with_device_table
from autonl_core.spec.device_table import DeviceTable
from store.device_rows import SearchDeviceTable
from store.models import Search


def keep_table(session: Session, search_id: str, config: SearchConfig) -> None:
    """Store the table that `config` has, if it limits latency, for the new search."""
    table = config.constraints.table
    assert (table is None) == (config.constraints.latency_ms is None)
    if table is not None:
        session.add(SearchDeviceTable(search_id=search_id, content=table.to_text()))


def stored_config(session: Session, search: Search) -> SearchConfig:
    """The configuration of a search, with its device table if it limits latency.

    Raises:
        OtherVersion: another version stored one of them, in a form that this one does not know.
        DeviceTableError: the table is not the one that the search was accepted with.
    """
    config, dataset = SearchConfig.stored(search.config), DatasetSpec.from_json(search.dataset_spec)
    row = session.get(SearchDeviceTable, search.id)
    return with_device_table(config, dataset, None if row is None else read_stored(row.content))


def read_stored(content: str) -> DeviceTable:
    """A table as it was stored. Raises OtherVersion: it was valid there, and is not in this version."""
    try:
        return DeviceTable.parse(content, "what is stored")
    except DeviceTableError as error:
        raise OtherVersion(f"another version stored the device table: {error}") from error
