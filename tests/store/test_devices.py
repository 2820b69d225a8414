"""Devices and their tables on both databases: stored, listed, refused, deleted; and the tables that searches keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import DeviceTableError, OtherVersion
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_search import with_device_table
from store import devices
from store.device_rows import DeviceRow, SearchDeviceTable
from store.errors import DeviceExists, NotFound, QuotaExceeded, TooManyDevices
from store.models import Search
from store.stores import Stores
from tests.autonl_core.device_tables import made_up_table
from tests.store.sample_rows import CONFIG, claim, queue_search
from tests.store.test_supernets import keep

TABLE, OTHER = made_up_table("tiny", 8), made_up_table("tiny", 8, scale=1.5)


def limited(**changes: object) -> SearchConfig:
    """A search that limits its latency by TABLE."""
    constraints = {"latency_ms": 0.3, "device": "pixel"}
    asked = SearchConfig.model_validate(CONFIG.to_json() | {"constraints": constraints, **changes})
    return with_device_table(asked, DIGITS, TABLE)


def tables(stores: Stores) -> list[str]:
    with stores.database.read_scope() as session:
        return list(session.scalars(select(SearchDeviceTable.search_id)))


def test_a_table_is_kept_under_its_name_to_the_last_digit(stores: Stores) -> None:
    exact = TABLE.model_copy(
        update={"calibration": TABLE.calibration.model_copy(update={"overhead_ns": -0.0, "scale": 0.1 + 0.2})}
    )
    added = stores.devices.add("pixel", exact)
    assert added.created
    found = stores.devices.get("pixel")
    assert (found.table, found.sha256, found.size_bytes) == (exact, exact.sha256, len(exact.to_text()))
    assert found.table.sha256 == exact.sha256
    stores.devices.add("a-phone", OTHER)
    assert [entry.name for entry in stores.devices.list()] == ["a-phone", "pixel"]
    assert stores.quotas.now()["stored_bytes"] == len(exact.to_text()) + len(OTHER.to_text())


def test_the_same_table_is_known_and_another_one_is_refused(stores: Stores) -> None:
    first = stores.devices.add("pixel", TABLE).entry
    again = stores.devices.add("pixel", TABLE)
    assert (again.created, again.entry) == (False, first)
    with pytest.raises(DeviceExists, match=f"already has another table \\({TABLE.sha256}\\); choose another name"):
        stores.devices.add("pixel", OTHER)


def test_one_that_does_not_exist_is_named_beside_those_that_do(stores: Stores) -> None:
    with pytest.raises(NotFound, match="no device 'pixel'; there is none yet"):
        stores.devices.get("pixel")
    stores.devices.add("a-phone", TABLE)
    for missed in (stores.devices.get, stores.devices.delete):
        with pytest.raises(NotFound, match="the existing ones are: a-phone"):
            missed("pixel")


def test_devices_and_their_bytes_are_limited(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MAX_DEVICES", 1)
    stores.devices.add("pixel", TABLE)
    with pytest.raises(TooManyDevices, match="there are 1 devices, and at most 1 are possible"):
        stores.devices.add("another", TABLE)
    stores.tenants.create("ants")
    stores.quotas.set_limits("ants", {"stored_bytes": 100})
    with pytest.raises(QuotaExceeded, match="delete searches, datasets"):
        stores.of_tenant("ants").devices.add("pixel", TABLE)


def test_tenants_have_devices_of_their_own(stores: Stores) -> None:
    for tenant_id, table in (("ants", TABLE), ("bees", OTHER)):
        stores.tenants.create(tenant_id)
        stores.of_tenant(tenant_id).devices.add("pixel", table)
    ants, bees = stores.of_tenant("ants"), stores.of_tenant("bees")
    assert (ants.devices.get("pixel").table, bees.devices.get("pixel").table) == (TABLE, OTHER)
    ants.devices.delete("pixel")
    assert (ants.devices.list(), len(bees.devices.list())) == ([], 1)


def test_a_search_goes_by_its_table_after_the_device_is_deleted(stores: Stores) -> None:
    stores.devices.add("pixel", TABLE)
    search, _ = stores.searches.create(limited(), DIGITS)
    stores.devices.delete("pixel")
    stores.devices.add("pixel", OTHER)
    stored = stores.searches.get(search.id)
    assert stored.config["constraints"]["device_table_sha256"] == TABLE.sha256
    config = stores.searches.config(stored)
    assert config == limited()
    assert config.constraints.table == TABLE
    assert stores.searches.config(stores.searches.get(queue_search(stores))) == CONFIG  # which limits no latency


def test_the_table_goes_with_its_search(stores: Stores) -> None:
    search, _ = stores.searches.create(limited(), DIGITS)
    queue_search(stores)
    assert tables(stores) == [search.id]
    stores.control.cancel(search.id)
    stores.searches.delete(search.id)
    assert tables(stores) == []


def test_repeats_and_searches_for_other_budgets_go_by_the_same_table(stores: Stores, tmp_path: Path) -> None:
    first, _ = stores.searches.create(limited(repeat=2), DIGITS)
    repeats = stores.searches.repeats(first.id)
    assert [stores.searches.config(one).constraints.table for one in repeats] == [TABLE] * 2
    for one in repeats:
        stores.control.cancel(one.id)
    several, _ = stores.searches.create(limited(flops_budgets=[400_000, 300_000]), DIGITS)
    keep(stores, claim(stores), tmp_path)
    _, other = stores.searches.of_all_budgets(stores.searches.get(several.id))
    assert stores.searches.config(other).constraints.table == TABLE


def test_a_table_that_is_not_that_of_the_search_is_refused(stores: Stores) -> None:
    search, _ = stores.searches.create(limited(), DIGITS)
    with stores.database.session_scope() as session:
        session.get_one(SearchDeviceTable, search.id).content = OTHER.to_text()
    with pytest.raises(DeviceTableError, match=f"configured for the device table {TABLE.sha256}"):
        stores.searches.config(search)


def test_what_a_later_version_stored_is_left_to_it(stores: Stores) -> None:
    later = TABLE.to_text().replace('"version": 1', '"version": 2')
    stores.devices.add("pixel", TABLE)
    search, _ = stores.searches.create(limited(), DIGITS)
    with stores.database.session_scope() as session:
        session.get_one(SearchDeviceTable, search.id).content = later
        session.scalars(select(DeviceRow)).one().content = later
    for read in (lambda: stores.searches.config(search), lambda: stores.devices.get("pixel"), stores.devices.list):
        with pytest.raises(OtherVersion, match="version: Input should be 1"):
            read()


def test_the_version_of_a_search_says_nothing_of_its_table(stores: Stores) -> None:
    """GET does not show it, and it never changes."""
    search, _ = stores.searches.create(limited(), DIGITS)
    with stores.database.read_scope() as session:
        assert session.get_one(Search, search.id).version == stores.searches.get(search.id).version
