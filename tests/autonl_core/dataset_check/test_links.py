"""Links: groups are those of a plain search through all pairs, and distances with too many pairs are given up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autonl_core.dataset_check.links import Links


def groups_of(count: int, pairs: NDArray[np.int64]) -> list[int]:
    groups = list(range(count))
    for one, other in pairs.tolist():
        low, high = sorted((groups[one], groups[other]))
        groups = [low if group == high else group for group in groups]
    return groups


def test_groups_are_those_of_all_pairs_however_they_arrive() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 200, (150, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    distances = rng.uniform(0, 0.3, len(pairs)).astype(np.float32)
    for parts in (1, 7, 150):
        links = Links(200, (0.3, 0.1), most_paired=200)
        for chosen in np.array_split(np.arange(len(pairs)), parts):
            links.add(pairs[chosen, 0], pairs[chosen, 1], distances[chosen])
        assert links.labels().tolist() == groups_of(200, pairs)
        strict = np.array(groups_of(200, pairs[distances < 0.1]))
        linked = links.are_linked(pairs[:, 0], pairs[:, 1])
        assert linked.tolist() == (strict[pairs[:, 0]] == strict[pairs[:, 1]]).tolist()


def test_a_distance_below_which_too_many_have_a_pair_is_given_up_but_the_last_is_not() -> None:
    links = Links(10, (0.3, 0.2, 0.1), most_paired=4)
    links.add(np.array([0, 2]), np.array([1, 3]), np.array([0.25, 0.05], np.float32))
    assert links.distance == 0.3
    links.add(np.array([4]), np.array([5]), np.array([0.25], np.float32))
    assert links.distance == 0.2
    assert links.labels().tolist() == [0, 1, 2, 2, *range(4, 10)]
    links.add(np.arange(5), np.arange(5, 10), np.full(5, 0.01, np.float32))
    assert links.distance == 0.1
