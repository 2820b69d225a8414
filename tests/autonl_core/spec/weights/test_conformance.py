"""What a search relies on, for every built-in weight set in the registry."""

from __future__ import annotations

import re

import pytest

from autonl_core.files import sha256_of
from autonl_core.nn.weight_file import WeightFile
from autonl_core.nn.weights import WEIGHT_FORMATS, load_weights
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS, installed_weights
from autonl_core.spec.weight_set import WeightSet, network_of

pytestmark = pytest.mark.parametrize("name", BUILTIN_WEIGHTS.names())


def test_it_says_where_it_comes_from_and_under_which_licence(name: str) -> None:
    weights = BUILTIN_WEIGHTS.get(name).weights
    assert (weights.name, weights.origin) == (name, "built-in")
    assert "https://" in (weights.source or "")
    assert weights.licence
    assert 0 < (weights.top1_pct or 0) < 100
    assert re.fullmatch(r"[0-9a-f]{64}", weights.sha256)


def test_it_is_offered_if_its_package_is_installed_and_then_it_is_the_pinned_file(name: str) -> None:
    member = BUILTIN_WEIGHTS.get(name)
    path = member.path()
    assert (name in installed_weights()) == (path is not None)
    if path is not None:
        assert (sha256_of(path), path.stat().st_size) == (member.weights.sha256, member.weights.size_bytes)


def test_its_architecture_is_in_the_zoo_and_is_stored_with_it(name: str) -> None:
    weights = BUILTIN_WEIGHTS.get(name).weights
    assert network_of(weights.arch) == weights.network
    assert (weights.arch.resolution, weights.arch.num_classes) == (weights.resolution, weights.num_classes)
    stored = WeightSet.from_json(weights.to_json())
    assert (stored.arch, stored.to_json()) == (weights.arch, weights.to_json())


def test_its_file_is_read_by_its_format_and_fits_its_architecture(name: str) -> None:
    member = BUILTIN_WEIGHTS.get(name)
    weight_format = WEIGHT_FORMATS.get(member.weights.format)
    path = member.path()
    if path is not None:
        assert weight_format.recognises(WeightFile(path))
        assert load_weights(path, member.weights.arch).arch == member.weights.arch
        assert weight_format.normalisation == member.weights.normalisation
