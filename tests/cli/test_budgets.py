"""Several budgets on the command line: started, followed one after the other, and compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from autonl_core.spec.measured_network import MeasuredNetwork
from store.stores import Stores
from tests.cli.test_commands import as_json, autonl
from tests.store.sample_rows import FILES, claim, result
from tests.store.test_supernets import keep

pytestmark = pytest.mark.usefixtures("service")
MEASURED = (
    MeasuredNetwork("in8 | worse", 395_000, 9_000, 2_048, "random", 60.0),
    MeasuredNetwork("in8 | better", 390_000, 8_000, 4_096, "by_scores", 70.0, 75.0, chosen=True),
)


def test_repeated_budgets_start_one_search_for_all_whatever_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("{dataset: digits, flops_budget: 350k}")
    several = as_json("search", "--config", str(file), "-b", "400k", "-b", "300k")
    assert [budget["flops_budget"] for budget in several["budgets"]] == [400_000, 300_000]
    assert "400k" in (shown := autonl("status", several["id"]).stdout)
    assert "300k: not begun" in shown
    file.write_text("{dataset: digits, flops_budgets: [350k, 300k]}")
    assert as_json("search", "--config", str(file), "-b", "400k")["budgets"] == []


def test_all_of_them_are_followed_and_one_that_did_not_succeed_is_a_failure(
    service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k", "-b", "300k")["id"]
    lease = claim(stores)
    keep(stores, lease, tmp_path)
    stores.claims.finish(lease, result(), FILES)
    other = claim(stores)
    stores.control.cancel(other.search_id)
    stores.claims.cancelled(other)
    watched = autonl("watch", search_id)
    assert watched.exit_code == 1
    assert watched.stdout.index(search_id) < watched.stdout.index(f"search {other.search_id} started\n")
    assert autonl("watch", other.search_id).exit_code == 1


def test_the_trade_off_shows_the_front_and_the_results(service: httpx.Client, stores: Stores) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k")["id"]
    assert "no network yet" in autonl("trade-off", search_id).stdout
    stores.claims.finish(claim(stores), replace(result(), networks=MEASURED), FILES)
    shown = autonl("trade-off", search_id).stdout
    title, *rows = shown.partition("\n\n")[0].splitlines()
    assert [row.split() for row in rows] == [
        ["*>", "390k", "8k", "4", "KiB", "by_scores", "70.00%", "75.00%", "98.00%"]
    ]
    assert title.split() == ["MACs", "params", "memory", "origin", "shared", "final", "test"]
    assert "1 more network was measured: --all" in shown
    for mark in ("*", ">", "shared", "final", "test", "memory"):
        assert any(line.startswith(f"{mark} ") for line in shown.splitlines()), mark
    every = autonl("trade-off", search_id, "--all").stdout
    assert ["395k", "9k", "2", "KiB", "random", "60.00%", "-", "-"] in [row.split() for row in every.splitlines()]
    assert "more network" not in every
    assert as_json("trade-off", search_id) == service.get(f"/searches/{search_id}/trade-off").json()
