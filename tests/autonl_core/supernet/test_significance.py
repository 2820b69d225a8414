"""Whether accuracies are explained by options: where they are, where they are luck, and where luck is shared."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.significance import PERMUTATIONS, chance_of
from autonl_core.supernet.utilities import OptionFeatures

SWITCHES, IMAGES, CLASSES = 4, 400, 5
NETWORKS: list[Choice] = list(itertools.product((0, 1), repeat=SWITCHES))


def switches() -> OptionFeatures:
    """Positions with two options each: the second has a feature of its own."""
    rows = [np.outer([0.0, 1.0], np.eye(SWITCHES)[place]) for place in range(SWITCHES)]
    return OptionFeatures(tuple(rows), np.eye(SWITCHES))


def chance(rng: np.random.Generator, gain: float, shared: float = 0.0) -> float:
    """Of networks that are right on a fifth of the images, and on `gain` more for every switch that is on.

    With `shared`, those with the first switch on name another class than the others on this share of the images, all of
    them the same one: right or wrong, they are so together.
    """
    labels = rng.integers(0, CLASSES, IMAGES)
    predicted = rng.integers(0, CLASSES, (len(NETWORKS), IMAGES))
    together = np.array([network[0] == 1 for network in NETWORKS])
    same = rng.random(IMAGES) < shared
    predicted[np.ix_(together, same)] = rng.integers(0, CLASSES, same.sum())
    knows = rng.random((len(NETWORKS), IMAGES)) < gain * np.array([sum(network) for network in NETWORKS])[:, None]
    return chance_of(switches(), NETWORKS, np.where(knows, labels, predicted), labels, rng)


def test_where_options_raise_accuracy_it_is_as_unlikely_as_so_many_shuffles_can_say() -> None:
    assert chance(np.random.default_rng(0), gain=0.05) == 1 / (PERMUTATIONS + 1)


@pytest.mark.long
def test_where_labels_are_random_it_is_uniform_also_if_similar_networks_share_their_luck() -> None:
    found = [chance(np.random.default_rng(seed), gain=0.0, shared=0.9) for seed in range(40)]
    assert 0 <= sum(one < 0.05 for one in found) <= 6  # 2 expected; 7 or more in .3% of cases
    assert 0.35 < np.mean(found) < 0.65  # .5 +- .046
