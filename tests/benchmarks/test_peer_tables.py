"""The tables of peers: one row per run and form of ours, one column per setting, elapsed and CPU time in each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import table_format
from benchmarks.peer_tables import peer_light_nl_table, peer_networks_table
from benchmarks.table_format import ratio


def costs(peer_s: float, *ours: str) -> dict[str, Any]:
    """As a measured row stores them: ours take 10 ms and fused 5 ms; the peer takes half as much in channels_last."""
    seconds = {"peer": peer_s, "peer, channels_last": peer_s / 2, "ours": 0.01} | dict.fromkeys(ours, 0.005)
    return {"seconds": seconds, "cpu_seconds": {name: 2 * value for name, value in seconds.items()}}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stored results of the port, whose times rise by 10 ms from setting to setting."""
    runs = []
    for index, (threads, keep_memory) in enumerate([(1, False), (1, True), (2, False), (2, True)]):
        costs_of_network = costs(0.01 * (index + 2), "ours, fused")
        network = {"what": "forward", "batch": 32, "resolution": 224, **costs_of_network}
        block = {"channels": 24, "size": 56, "nl_ratio": 0.25, "nl_stride": 1, **costs(0.01 * (index + 2))}
        setting = {"threads": threads, "keep_memory": keep_memory}
        runs += [
            {"subject": "autonl_s", **setting, "rows": [network]},
            {"subject": "light_nl", **setting, "rows": [block]},
        ]
    (tmp_path / "peers_port.json").write_text(json.dumps({"runs": runs}))
    monkeypatch.setattr(table_format, "RESULTS", tmp_path)
    return tmp_path


def rows_of(table: str) -> list[list[str]]:
    """Cells of every row below the header."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.usefixtures("results")
def test_a_network_has_a_row_for_each_form_of_ours() -> None:
    plain, fused = rows_of(peer_networks_table("port"))
    assert plain[:3] == ["AutoNL-S", "forward, 32 at 224 px", "10.0 ms"]
    assert plain[3:] == ["2.00 / 2.00", "3.00 / 3.00", "4.00 / 4.00", "5.00 / 5.00", "1.50 / 1.50"]
    assert fused[:3] == ["AutoNL-S", "fused, 32 at 224 px", "5.0 ms"]
    assert fused[3] == "4.00 / 4.00"


@pytest.mark.usefixtures("results")
def test_a_block_has_a_row_for_each_shape() -> None:
    assert rows_of(peer_light_nl_table()) == [
        ["24, 56x56, 0.25, 1", "10.0 ms", "2.00 / 2.00", "3.00 / 3.00", "4.00 / 4.00", "5.00 / 5.00", "1.50 / 1.50"]
    ]


def test_a_ratio_without_cpu_time_is_that_of_elapsed_time_alone() -> None:
    assert ratio({"seconds": {"plain": 3.0, "ours": 2.0}}, "plain") == "1.50"
