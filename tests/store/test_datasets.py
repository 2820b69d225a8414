"""The data sets that searches can name, on both databases."""

from __future__ import annotations

import dataclasses

import pytest

from autonl_core.datasets import DIGITS
from store.errors import DatasetExists, NotFound
from store.stores import Stores

PETS = dataclasses.replace(DIGITS, name="pets", kind="folder", location="/data/pets", fingerprint="a")


def test_the_built_in_one_is_always_there(stores: Stores) -> None:
    assert stores.datasets.get("digits").spec == DIGITS
    assert [entry.spec.name for entry in stores.datasets.list()] == ["digits"]


def test_an_added_one_reads_back_with_its_report(stores: Stores) -> None:
    stores.datasets.add(PETS, {"unreadable": 2})
    entry = stores.datasets.get("pets")
    assert (entry.spec, entry.report) == (PETS, {"unreadable": 2})
    assert entry.created_at is not None
    assert [entry.spec.name for entry in stores.datasets.list()] == ["digits", "pets"]


def test_adding_the_same_again_changes_nothing(stores: Stores) -> None:
    first = stores.datasets.add(PETS)
    assert stores.datasets.add(PETS) == first


def test_a_name_is_taken_once(stores: Stores) -> None:
    stores.datasets.add(PETS)
    with pytest.raises(DatasetExists, match="'pets' is taken by /data/pets"):
        stores.datasets.add(dataclasses.replace(PETS, fingerprint="b"))
    with pytest.raises(DatasetExists, match="built in"):
        stores.datasets.add(dataclasses.replace(PETS, name="digits"))


def test_an_unknown_one_is_named_with_those_there_are(stores: Stores) -> None:
    with pytest.raises(NotFound, match="no data set 'cats'; there are: digits"):
        stores.datasets.get("cats")
