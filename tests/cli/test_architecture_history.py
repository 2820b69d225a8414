"""`autonl architecture-history`: what stood where after the first, middle and last epoch, and what changed when."""

from __future__ import annotations

import httpx
import pytest

from store.stores import Stores
from tests.cli.test_commands import as_json, autonl
from tests.store import sample_rows as samples
from tests.store.sample_epochs import gates_at, network, options_of, report, same_but_for

pytestmark = pytest.mark.usefixtures("service")


def test_shows_first_middle_last_and_derived_and_what_changed_when(service: httpx.Client, stores: Stores) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k")["id"]
    assert autonl("architecture-history", search_id).stdout == "The first epoch of the supernet has not ended yet.\n"
    first, second = options_of(4), same_but_for(options_of(4), 3)
    epochs = [network(epoch, options, gates_at(epoch)) for epoch, options in enumerate([first, first, second], 1)]
    report(stores, samples.claim(stores), [*epochs, network(None, second, {})])
    shown = autonl("architecture-history", search_id).stdout
    title, *rows = shown.splitlines()
    assert title.split() == ["position", "epoch", "1", "epoch", "2", "epoch", "3", "derived"]
    positions = service.get(f"/searches/{search_id}/architecture-history").json()["positions"]
    before, after = (option["name"] for option in positions[2]["options"])
    third = f"3 {positions[2]['place']} {before} {before} {after}* {after}"
    assert third.split() in [row.split() for row in rows]
    assert shown.partition("k: kernel")[0].count("*") == 1
    assert rows[-1].split() == f"epoch 3 3 {before} {after}".split()
    assert "kernel 5" not in shown
    assert as_json("architecture-history", search_id)["epochs"][2]["changed"] == [3]


def test_shows_how_likely_gates_were_open(stores: Stores) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k")["id"]
    gates = {"gate/0.kernel": 0.251, "gate/2.present": 0.75}
    report(stores, samples.claim(stores), [network(epoch, options_of(1), gates) for epoch in (1, 2)])
    shown = autonl("architecture-history", search_id, "--gates").stdout
    assert shown.startswith("The network was the same after every epoch")
    assert "What changed when" not in shown
    assert ["1", "kernel", "5", "25%", "25%"] in [row.split() for row in shown.splitlines()]
    assert ["3", "layer", "is", "kept", "75%", "75%"] in [row.split() for row in shown.splitlines()]
