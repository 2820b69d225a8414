"""Weight sets as data: JSON both ways, values on the scale of pixels from 0 to 1, names of the zoo."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from autonl_core.errors import ArchError, WeightSetError
from autonl_core.spec.arch_string import decode
from autonl_core.spec.published_net import adapt
from autonl_core.spec.weight_set import (
    IMAGENET,
    Normalisation,
    WeightProblem,
    WeightSet,
    WeightSetDetails,
    network_of,
)
from autonl_core.spec.zoo import ZOO

ARCH = decode("in8 | cn_k3_s1_c8 | ds_r1_k3_s1_c8 | cn_k1_s1_c24 | fc10")


def uploaded(**changes: Any) -> WeightSet:
    """A weight set as a check leaves it."""
    values = {
        "name": "mine",
        "origin": "uploaded",
        "network": None,
        "num_classes": 10,
        "resolution": 8,
        "normalisation": IMAGENET,
        "format": "safetensors",
        "sha256": "a" * 64,
        "size_bytes": 1000,
        "given_arch": ARCH,
    }
    return WeightSet(**(values | changes))


@pytest.mark.parametrize(
    "weights", [uploaded(), uploaded(source="a friend", licence="CC0-1.0", top1_pct=76.5, network="autonl_s")]
)
def test_a_weight_set_survives_json(weights: WeightSet) -> None:
    assert WeightSet.from_json(json.loads(json.dumps(weights.to_json()))) == weights


def test_a_set_that_names_its_network_is_stored_with_the_architecture() -> None:
    weights = uploaded(network="mobilenet_v2", given_arch=None, resolution=96, num_classes=7)
    assert weights.arch == adapt(ZOO["mobilenet_v2"].arch, resolution=96, num_classes=7)
    stored = WeightSet.from_json(weights.to_json())
    assert stored == replace(weights, given_arch=weights.arch)
    with pytest.raises(ArchError, match=r"there is no published network 'gone'; there are: .*autonl_s"):
        _ = uploaded(network="gone", given_arch=None).arch


def test_what_an_uploader_states_and_why_weights_are_refused_survive_json() -> None:
    for details in (WeightSetDetails(), WeightSetDetails(network="autonl_s", normalisation=IMAGENET, top1_pct=1.5)):
        assert WeightSetDetails.from_json(json.loads(json.dumps(details.to_json()))) == details
    problem = WeightProblem("does_not_fit", "2 tensors", ("missing a", "missing b"))
    assert WeightProblem.from_json(
        {"code": "does_not_fit", "detail": "2 tensors", "tensors": list(problem.tensors)}
    ) == (problem)


@pytest.mark.parametrize(
    ("mean", "std", "reason"),
    [
        ((127.0, 127.0, 127.0), (0.5, 0.5, 0.5), "divide what is meant for 0 to 255 by 255"),
        ((0.5, 0.5, 0.5), (0.5, float("nan"), 0.5), "std is 0.5, nan, 0.5"),
        ((0.5, 0.5), (0.5, 0.5, 0.5), "mean is 0.5, 0.5; it must be three numbers"),
        ((0.5, 0.5, 0.5), (0.5, 0.0, 0.5), "cannot be 0"),
        ((-0.1, 0.5, 0.5), (0.5, 0.5, 0.5), "mean is -0.1"),
    ],
)
def test_a_normalisation_that_cannot_be_right_is_refused(mean: Any, std: Any, reason: str) -> None:
    with pytest.raises(WeightSetError, match=reason):
        Normalisation(mean, std)


@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_the_zoo_is_recognised_at_any_input_size_and_number_of_classes(name: str) -> None:
    assert network_of(adapt(ZOO[name].arch, resolution=64, num_classes=3)) == name


def test_any_other_network_is_not() -> None:
    assert network_of(ARCH) is None
    assert network_of(replace(ZOO["autonl_s"].arch, head_channels=1281)) is None
