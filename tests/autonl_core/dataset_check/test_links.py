"""Links: groups are those of a plain search through all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from autonl_core.dataset_check.links import Forest


def groups_of(count: int, pairs: NDArray[np.int64]) -> list[int]:
    """The smallest number that each is linked to: labels are lowered along the pairs until nothing changes."""
    labels = list(range(count))
    while True:
        before = labels.copy()
        for one, other in pairs.tolist():
            labels[one] = labels[other] = min(labels[one], labels[other])
        if labels == before:
            return labels


@pytest.mark.parametrize("seed", range(10))
def test_groups_are_those_of_a_plain_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 200, (rng.integers(0, 400), 2))
    forest = Forest(200)
    for part in np.array_split(pairs, 7):
        forest.join(part[:, 0], part[:, 1])
    assert forest.labels().tolist() == groups_of(200, pairs)


def test_roots_are_the_smallest_numbers() -> None:
    forest = Forest(6)
    forest.join(np.array([5, 4, 2]), np.array([4, 1, 3]))
    assert forest.roots(np.array([5, 3, 0])).tolist() == [1, 2, 0]
