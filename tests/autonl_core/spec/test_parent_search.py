"""Going on from a finished search: what is taken over, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import ParentError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.parent_search import ParentSearch, parent_id
from autonl_core.spec.recipe import settle
from tests.autonl_core.spec.test_recipe import KNOWN, LITE0, PHOTOS, request


def of_photos() -> ParentSearch:
    asked = request(flops_budget="40M", seed=7, val_fraction=0.2, teacher={"epochs": 9})
    return ParentSearch("p1", settle(asked, PHOTOS, KNOWN), PHOTOS.fingerprint, teacher_resolution=128)


def of_digits() -> ParentSearch:
    config = SearchConfig.model_validate({"dataset": "digits", "flops_budget": "400k", "resolution": 16})
    return ParentSearch("p2", config, DIGITS.fingerprint, teacher_resolution=None)


def going_on(parent: ParentSearch, /, **fields: object) -> SearchConfig:
    asked = request(**{"init": f"search:{parent.id}", "flops_budget": "20M", **fields})
    images = DIGITS if asked.dataset == "digits" else PHOTOS
    return settle(asked, images, KNOWN, lambda search_id: parent)


def test_split_space_and_teacher_stay_what_the_weights_were_made_with() -> None:
    parent = of_photos()
    config = going_on(parent)
    assert (config.parent, config.init, config.search_space) == ("p1", LITE0.name, "lite")
    assert (config.seed, config.val_fraction) == (7, 0.2)
    assert config.teacher == parent.config.teacher.model_copy(update={"resolution": 128})
    assert (config.flops_budget, config.resolution) == (20_000_000, None)  # so resolutions are tried again


def test_the_supernet_is_not_trained_again_unless_that_is_asked_for() -> None:
    assert of_photos().config.supernet.epochs == 4
    derived = going_on(of_photos()).supernet
    assert (derived.epochs, derived.candidates, derived.finalists) == (0, 8, 1)
    assert going_on(of_photos(), supernet={"epochs": 5}).supernet.epochs == 5
    config = going_on(of_digits(), dataset="digits", flops_budget="300k")
    assert (config.supernet.epochs, config.supernet.warmup_fraction) == (0, 0.0)
    assert (config.init, config.resolution, config.search_space) == ("none", 16, None)


def test_parent_says_the_same_as_init_and_settling_twice_changes_nothing() -> None:
    parent = of_photos()
    config = going_on(parent)
    assert settle(request(parent="p1", flops_budget="20M"), PHOTOS, KNOWN, lambda search_id: parent) == config
    again = SearchConfig.model_validate(config.to_json())
    assert settle(again, PHOTOS, KNOWN, lambda search_id: parent) == again


def test_the_weight_of_the_teachers_answers_may_change() -> None:
    assert going_on(of_photos(), teacher={"weight": 0.3}).teacher.weight == 0.3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 8}, "seed 8 instead of 7"),
        ({"val_fraction": 0.1}, "val_fraction 0.1 instead of 0.2"),
        ({"search_space": "mobile-224"}, "search_space 'mobile-224' instead of 'lite'"),
        (
            {"teacher": {"epochs": 2, "resolution": 160}},
            "teacher.epochs 2 instead of 9, teacher.resolution 160 instead",
        ),
        ({"init": "none", "parent": "p1"}, "started from 'efficientnet-lite0', and init is 'none'"),
        ({"parent": "p3"}, "init names search 'p1' and parent names 'p3'"),
    ],
)
def test_what_the_weights_were_not_made_with_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ParentError, match=message):
        going_on(of_photos(), **fields)


def test_other_images_are_refused_because_they_could_judge_what_learned_from_them() -> None:
    before = replace(of_photos(), dataset_fingerprint="another")
    with pytest.raises(ParentError, match="made on other images than dataset 'photos' has now"):
        going_on(before)


def test_a_search_at_random_keeps_its_resolution() -> None:
    with pytest.raises(ParentError, match="resolution 32 instead of 16"):
        going_on(of_digits(), dataset="digits", resolution=32)


def test_without_a_service_there_are_no_earlier_searches() -> None:
    with pytest.raises(ParentError, match="search 'p1' is not known here"):
        settle(request(init="search:p1"), PHOTOS, KNOWN)


def test_most_searches_have_no_parent() -> None:
    assert parent_id(request()) is None
