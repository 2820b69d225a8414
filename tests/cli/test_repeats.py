"""Repeats on the command line: started, followed one after the other, and compared."""

from __future__ import annotations

import httpx
import pytest

from store.stores import Stores
from tests.cli.test_commands import as_json, autonl
from tests.store.sample_rows import FILES, claim, result

pytestmark = pytest.mark.usefixtures("service")


def test_all_of_them_are_followed_and_compared(service: httpx.Client, stores: Stores) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k", "--repeat", "2", "--seed", "4")["id"]
    assert "no result yet" in autonl("repeats", search_id).stdout
    for files in (FILES, {}):
        stores.claims.finish(claim(stores), result(), files)
    found = as_json("repeats", search_id)
    assert found == service.get(f"/searches/{search_id}/repeats").json()
    assert [one["seed"] for one in found["searches"]] == [4, 5]
    watched = autonl("watch", search_id)
    assert watched.exit_code == 0
    other = found["searches"][1]["search_id"]
    assert watched.stdout.index(search_id) < watched.stdout.index(other)
    assert search_id not in autonl("watch", other).stdout
    shown = autonl("repeats", other).stdout
    assert "98.00% in the mean of 2 (95% interval 98.00% to 98.00%)" in shown
    assert "×2" in shown


def test_of_a_single_result_no_spread_is_claimed(stores: Stores) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k")["id"]
    stores.claims.finish(claim(stores), result(), FILES)
    assert "of a single result" in autonl("repeats", search_id).stdout
