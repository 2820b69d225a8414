"""Devices by both clients, on a running API."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from autonl import Refused, device_operations
from tests.autonl.conftest import Caller
from tests.autonl_core.device_tables import made_up_table

TABLE = made_up_table("tiny", 8)


def test_a_device_is_added_shown_listed_and_deleted(caller: Caller, service: httpx.Client, tmp_path: Path) -> None:
    url, file = str(service.base_url), tmp_path / "table.json"
    file.write_text(TABLE.to_text())
    added = caller.run(url, device_operations.add_device("pixel", file))
    assert (added.name, added.space, added.resolution, added.sha256) == ("pixel", "tiny", 8, TABLE.sha256)
    found = caller.run(url, device_operations.device("pixel"))
    assert (found, found.document["table"]["blocks_ns"]) == (added, TABLE.blocks_ns)
    assert caller.run(url, device_operations.devices()) == (added,)
    caller.run(url, device_operations.delete_device("pixel"))
    assert caller.run(url, device_operations.devices()) == ()


def test_a_table_is_refused_with_everything_that_is_wrong(
    caller: Caller, service: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "table.json").write_text(TABLE.model_copy(update={"space": "nowhere"}).to_text())
    with pytest.raises(Refused, match="nowhere") as refused:
        caller.run(str(service.base_url), device_operations.add_device("pixel", tmp_path / "table.json"))
    assert [error.pointer for error in refused.value.errors] == ["/space"]
