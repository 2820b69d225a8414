"""Where a search starts: `init: auto`, and the defaults that follow from pretrained weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.errors import WeightSetError
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import SupernetConfig, TrainConfig
from autonl_core.spec.recipe import settle
from autonl_core.spec.search_request import SearchRequest
from autonl_core.spec.weight_set import WeightSet
from autonl_core.spec.weight_spaces import space_of
from autonl_core.spec.zoo import find_net

LITE0 = BUILTIN_WEIGHTS.get("efficientnet-lite0").weights
KNOWN = {LITE0.name: LITE0}
PHOTOS = DatasetSpec("photos", "zip", "photos.zip", ("cat", "dog"), 299, 3_000, 700, "fingerprint")


def request(**fields: object) -> SearchRequest:
    return SearchRequest.model_validate({"dataset": "photos", "flops_budget": "40M", **fields})


def port_weights() -> WeightSet:
    return replace(LITE0, name="mine", network="autonl_s", given_arch=find_net("autonl_s").arch)


def test_photographs_start_from_pretrained_weights() -> None:
    settled = settle(request(), PHOTOS, KNOWN)
    assert (settled.init, settled.search_space, settled.resolution) == ("efficientnet-lite0", "lite", None)


@pytest.mark.parametrize(
    ("fields", "dataset"),
    [
        ({}, replace(PHOTOS, image_size=63)),
        ({"resolution": 32, "flops_budget": "4.5M"}, PHOTOS),
        ({"search_space": "mobile-224", "resolution": 224, "flops_budget": "350M"}, PHOTOS),
        ({"algorithm": "autonl-paper", "flops_budget": "350M"}, PHOTOS),
        ({"init": "none", "flops_budget": "350M"}, PHOTOS),
        ({"flops_budget": "400k"}, DIGITS),
    ],
    ids=["small images", "small resolution", "another space", "another algorithm", "not wanted", "digits"],
)
def test_everything_else_starts_at_random(fields: dict[str, object], dataset: DatasetSpec) -> None:
    asked = request(**fields)
    settled = settle(asked, dataset, KNOWN)
    decided = {"init": "none", "augment": settled.augment, "supernet": settled.supernet}
    assert settled == asked.model_copy(update={**decided, "train": settled.train})


def test_what_starts_at_random_is_searched_briefly() -> None:
    supernet = settle(request(init="none"), PHOTOS, KNOWN).supernet
    assert (supernet.epochs, supernet.candidates, supernet.generations, supernet.finalists) == (1, 8, 1, 1)
    assert settle(request(init="none", supernet={"batch_size": 32}), PHOTOS, KNOWN).supernet.finalists == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"supernet": {"epochs": 6}},
        {"supernet": {"finalists": 4}},
        {"supernet": {"candidates": 32}},
        {"supernet": {"generations": 2}},
        {"algorithm": "autonl-paper"},
    ],
)
def test_whoever_says_how_to_search_gets_a_whole_search(fields: dict[str, Any]) -> None:
    settled = settle(request(init="none", **fields), PHOTOS, KNOWN)
    assert settled.supernet == SupernetConfig.model_validate(fields.get("supernet", {}))


def test_a_space_that_the_budget_decided_is_named_so_that_later_searches_stay_in_it() -> None:
    small = replace(PHOTOS, image_size=32)
    settled = settle(request(flops_budget="1.5M"), small, KNOWN)
    assert settled.search_space == "mobile-32-narrow"
    assert (
        settle(settled.model_copy(update={"flops_budget": 3_000_000}), small, KNOWN).search_space == "mobile-32-narrow"
    )
    assert settle(request(flops_budget="3M"), small, KNOWN).search_space is None


@pytest.mark.parametrize(
    ("fields", "dataset", "policy"),
    [
        ({}, replace(PHOTOS, image_size=32), "trivialaugment"),
        ({}, replace(PHOTOS, image_size=32, train_images=20_000), "trivialaugment"),
        ({}, replace(PHOTOS, image_size=32, train_images=20_001), "none"),
        ({"resolution": 24, "init": "none"}, PHOTOS, "trivialaugment"),
        ({"resolution": 23, "init": "none"}, PHOTOS, "none"),
        ({}, PHOTOS, "none"),
        ({"flops_budget": "400k"}, DIGITS, "none"),
        ({"augment": {"policy": "none"}}, replace(PHOTOS, image_size=32), "none"),
        ({"augment": {"policy": "randaugment"}}, DIGITS, "randaugment"),
    ],
    ids=["small images", "few", "many", "24 pixels", "23 pixels", "pretrained", "digits", "not wanted", "another"],
)
def test_few_images_that_are_learned_from_nothing_get_a_policy(
    fields: dict[str, object], dataset: DatasetSpec, policy: str
) -> None:
    assert settle(request(**fields), dataset, KNOWN).augment.policy == policy


@pytest.mark.parametrize(
    ("fields", "images", "px", "lr", "epochs"),
    [
        ({}, 300, 32, 0.2, 300),
        ({}, 3_500, 32, 0.2, 200),
        ({}, 10_000, 32, 0.2, 70),
        ({}, 20_000, 24, 0.2, 70),
        ({}, 20_001, 32, 0.1, 70),
        ({}, 3_500, 23, 0.1, 70),
        ({"resolution": 64}, 3_500, 32, 0.1, 70),
        ({"resolution": 32}, 3_500, 300, 0.2, 200),
        ({"train": {"lr": 0.1}}, 3_500, 32, 0.1, 200),
        ({"train": {"optimizer": "adamw"}}, 3_500, 32, 0.1, 70),
        ({"train": {"epochs": 7}}, 3_500, 32, 0.2, 7),
    ],
)
def test_few_small_images_that_are_learned_from_nothing_get_a_high_rate_and_many_epochs(
    fields: dict[str, object], images: int, px: int, lr: float, epochs: int
) -> None:
    dataset = replace(PHOTOS, image_size=px, train_images=images)
    budget = "300k" if px < 24 else "4.5M"
    settled = settle(request(init="none", **{"flops_budget": budget, **fields}), dataset, KNOWN)
    assert (settled.train.lr, settled.train.epochs) == (lr, epochs)
    assert settled.supernet.lr == 0.1


def test_without_the_package_of_the_weights_a_search_starts_at_random() -> None:
    assert settle(request(flops_budget="350M"), PHOTOS, {}).init == "none"


def test_what_was_asked_for_is_kept_and_the_rest_suits_fine_tuning() -> None:
    train = settle(request(train={"epochs": 3, "lr": 0.5}), PHOTOS, KNOWN).train
    assert (train.epochs, train.lr) == (3, 0.5)
    assert (train.optimizer, train.weights, train.ema_decay) == ("adamw", "inherit", 0.99)


def test_small_datasets_are_seen_more_often() -> None:
    epochs = [settle(request(), replace(PHOTOS, train_images=n), KNOWN).train.epochs for n in (300, 3_000, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[1] > epochs[2] == 12


@pytest.mark.parametrize(("images", "expected"), [(300, "fixed"), (5_555, "fixed"), (5_560, "batch")])
def test_the_norms_of_the_teacher_are_fixed_where_it_learns_from_few_images(images: int, expected: str) -> None:
    """It learns from 90% of the training images."""
    settled = settle(request(), replace(PHOTOS, train_images=images), KNOWN)
    assert (settled.teacher.bn_statistics, settled.train.bn_statistics) == (expected, "batch")
    asked = settle(request(teacher={"bn_statistics": "batch"}), PHOTOS, KNOWN)
    assert SearchConfig.stored(asked.to_json()).teacher.bn_statistics == "batch"


def test_settling_twice_changes_nothing() -> None:
    settled = settle(request(train={"epochs": 3}), PHOTOS, KNOWN)
    assert settle(settled, PHOTOS, KNOWN) == settled
    stored = SearchConfig.model_validate(settled.to_json())
    assert settle(stored, PHOTOS, KNOWN) == stored


def test_a_stored_search_of_an_earlier_version_starts_at_random() -> None:
    stored = SearchConfig.model_validate({"dataset": "digits", "flops_budget": 400_000})
    assert (stored.init, stored.train) == ("none", TrainConfig())


def test_weights_of_autonl_s_start_its_own_space() -> None:
    mine = port_weights()
    family = space_of(mine)
    assert family is not None
    assert family.name == "mobile-224"
    settled = settle(request(init="mine", flops_budget="350M"), PHOTOS, {**KNOWN, "mine": mine})
    assert (settled.init, settled.search_space) == ("mine", "mobile-224")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"init": "nowhere"}, "no weight set 'nowhere'"),
        ({"init": "efficientnet-lite0", "search_space": "mobile-224"}, "not in 'mobile-224'"),
        ({"init": "none", "train": {"bn_statistics": "fixed"}}, "train.bn_statistics 'fixed' normalises by"),
    ],
)
def test_weights_that_do_not_serve_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(WeightSetError, match=message):
        settle(request(**fields), PHOTOS, KNOWN)
