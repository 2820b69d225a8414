"""Searches side by side on the command line."""

from __future__ import annotations

import httpx
import pytest

from store.stores import Stores
from tests.api.http_service import start
from tests.api.test_comparison import finished, scored
from tests.cli.test_commands import as_json, autonl

pytestmark = pytest.mark.usefixtures("service")


def words(line: str) -> list[str]:
    return line.split()


def test_figures_settings_blocks_and_classes_stand_beside_each_other(service: httpx.Client, stores: Stores) -> None:
    one = finished(service, stores, scored(90), train={"epochs": 8}, labels={"team": "x"})
    other = finished(service, stores, scored(80, seed=1, only=2), train={"epochs": 20})
    found = as_json("compare", one, other)
    assert found == service.get("/comparison", params={"search_id": [one, other]}).json()
    shown = autonl("compare", one, other).stdout
    lines = [words(line) for line in shown.splitlines()]
    assert ["search", one, other] in lines
    assert ["labels", "team:x"] in lines
    assert ["train.epochs", "8", "20"] in lines
    assert ["test", "top-1", "90.00%", "80.00%"] in lines
    assert ["95%", "interval", "82.6%", "to", "94.5%", "71.1%", "to", "86.7%"] in lines
    assert "A is 10.00 points ahead of B (standard error 3.62, p = 0.013): more than chance" in shown
    assert ["1", "40", "75.0%", "55.0%"] in lines
    unequal = [layers["place"] for layers in found["layers"] if not layers["equal"]]
    assert unequal
    marked = [line for line in shown.splitlines() if line.startswith("≠ ")]
    assert len(marked) == len(unequal)
    assert all(place in line for place, line in zip(unequal, marked, strict=True))


def test_the_one_that_is_behind_is_named_second(service: httpx.Client, stores: Stores) -> None:
    one, other = finished(service, stores, scored(80)), finished(service, stores, scored(90, only=2))
    assert "B is 10.00 points ahead of A" in autonl("compare", one, other).stdout
    same = finished(service, stores, scored(80))
    assert "A and B are equal (standard error 0.00, p = 1): may be chance" in autonl("compare", one, same).stdout
    assert "none: the settings are the same" in autonl("compare", one, same).stdout


def test_short_ids_are_taken_and_what_has_no_result_yet_says_so(service: httpx.Client) -> None:
    first, second = start(service), start(service, seed=3)
    shown = autonl("compare", first[:8], second[:8])
    assert shown.exit_code == 0
    assert "no result yet" in shown.stdout
    assert "Fewer than two results yet" in shown.stdout
    assert ["seed", "0", "3"] in [words(line) for line in shown.stdout.splitlines()]


def test_too_few_or_too_many_are_refused_with_the_way_out(service: httpx.Client) -> None:
    alone = autonl("compare", start(service))
    assert (alone.exit_code, "name at least two searches" in alone.stderr) == (2, True)
    many = autonl("compare", *(f"{number:016x}" for number in range(6)))
    assert (many.exit_code, "names 6 searches; name 2 to 5" in many.stderr) == (2, True)
    assert "no search" in autonl("compare", "0" * 16, "1" * 16).stderr
