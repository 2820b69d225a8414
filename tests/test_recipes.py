"""The recipes that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from autonl_core.datasets.spec import DIGITS
from autonl_core.nn.blocks.conv import BN_EPS
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.recipe import settle
from autonl_core.training.optim import RMSprop
from benchmarks.killed_in_every_phase import dataset_of, short_recipe, write_photos

RECIPE = Path(__file__).parents[1] / "recipes/imagenet.yaml"


@pytest.fixture(scope="module")
def recipe() -> SearchConfig:
    return SearchConfig.model_validate(yaml.safe_load(RECIPE.read_text()))


def test_the_recipe_for_imagenet_is_the_published_one(recipe: SearchConfig) -> None:
    train = recipe.train
    assert (train.optimizer, train.momentum, RMSprop.SQUARE_DECAY, RMSprop.EPS) == ("rmsprop", 0.9, 0.9, 1e-3)
    assert train.lr / train.batch_size == 0.016 / 256
    assert (train.schedule, train.lr_decay, train.lr_decay_epochs, train.epochs) == ("steps", 0.97, 2.4, 350)
    assert (train.weight_decay, train.label_smoothing, train.dropout, train.ema_decay) == (1e-5, 0.1, 0.2, 0.9999)
    assert (train.bn_momentum, BN_EPS) == (0.01, 1e-3)
    assert (recipe.resolution, recipe.search_space, recipe.augment.whole_pictures) == (224, "mobile-224", True)
    assert recipe.init == "none"


def test_it_is_settled_as_it_is_written(recipe: SearchConfig) -> None:
    """No default of a search from random weights, which suit small images, takes the place of a value of its own."""
    settled = settle(recipe, DIGITS, {})
    assert settled.train == recipe.train
    assert settled.augment == recipe.augment
    assert settled.supernet.epochs == recipe.supernet.epochs


def test_its_short_form_fits_generated_photos(tmp_path: Path, recipe: SearchConfig) -> None:
    write_photos(tmp_path, 24)
    dataset, short = dataset_of(tmp_path), short_recipe()
    space = resolve_space(short, dataset)
    assert (space.name, space.resolution, space.num_classes) == ("mobile-224", 224, 4)
    changed = {"epochs", "batch_size"}
    assert short.train.model_dump(exclude=changed) == recipe.train.model_dump(exclude=changed)
    assert short.augment == recipe.augment
