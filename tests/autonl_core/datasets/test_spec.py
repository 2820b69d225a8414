"""The specification of a dataset: JSON both ways, the built-in one, and kinds that are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sklearn.datasets import load_digits

from autonl_core.datasets.sources import SOURCES, get_source
from autonl_core.datasets.spec import DIGITS, DatasetSpec, dataset_kinds
from autonl_core.errors import DatasetError

PETS = DatasetSpec("pets", "folder", "/pets", ("cat", "dog"), 32, 40, 10, "f" * 32, manifest="/m.manifest.json")


def test_a_specification_survives_json() -> None:
    assert DatasetSpec.from_json(json.loads(json.dumps(PETS.to_json()))) == PETS


def test_the_built_in_digits_are_what_scikit_learn_ships() -> None:
    digits = load_digits()
    assert DIGITS.train_images + DIGITS.test_images == len(digits.images)
    assert DIGITS.classes == tuple(str(name) for name in digits.target_names)
    assert digits.images.shape[1:] == (DIGITS.image_size, DIGITS.image_size)
    assert not DIGITS.horizontal_flip
    assert DIGITS.is_builtin
    assert not PETS.is_builtin


def test_kinds_are_the_built_in_one_and_the_data_sources() -> None:
    assert dataset_kinds() == ("builtin", *SOURCES.names())
    assert {"folder", "zip"} <= set(SOURCES.names())


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"'pets' has the unknown kind 'tape'; known are builtin, .*folder, .*zip"):
        replace(PETS, kind="tape")
    with pytest.raises(DatasetError, match=r"data source 'tape' is unknown; known are .*folder"):
        get_source("tape")
