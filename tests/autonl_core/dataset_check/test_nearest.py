"""The nearest few: those of a plain sort, whatever the order and the parts in which pairs arrive."""

from __future__ import annotations

import numpy as np
import pytest

from autonl_core.dataset_check import nearest as nearest_module
from autonl_core.dataset_check.nearest import KEPT, Nearest

COUNT = 60


@pytest.mark.parametrize("held", [1, 100, 10**6])
def test_the_nearest_are_those_of_a_plain_sort(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(nearest_module, "_HELD", held)
    rng = np.random.default_rng(0)
    one, other = np.triu_indices(COUNT, 1)
    apart = rng.random(len(one)).astype(np.float32)
    expected = np.full((COUNT, COUNT), np.inf, np.float32)
    expected[one, other] = expected[other, one] = apart
    nearest = Nearest(COUNT, (0.2,), most_paired=COUNT)
    order = rng.permutation(np.tile(np.arange(len(one)), 2))  # every pair is found twice
    for part in np.array_split(order, 9):
        nearest.add(one[part], other[part], apart[part])
    nearest.sort_in()
    for row in range(COUNT):
        close = [number for number in np.argsort(expected[row]).tolist() if expected[row, number] < 0.2][:KEPT]
        assert nearest.others[row].tolist() == close + [-1] * (KEPT - len(close))
        assert nearest.apart[row, : len(close)].tolist() == expected[row, close].tolist()


def test_a_distance_at_which_too_many_have_a_neighbour_is_given_up_except_the_last() -> None:
    nearest = Nearest(10, (0.3, 0.2, 0.1), most_paired=4)

    def add(one: list[int], other: list[int], apart: list[float]) -> float:
        nearest.add(np.array(one), np.array(other), np.array(apart, np.float32))
        nearest.sort_in()
        return nearest.distance

    assert add([0, 2], [1, 3], [0.25, 0.05]) == 0.3
    assert add([4], [5], [0.25]) == 0.2
    assert add(list(range(5)), list(range(5, 10)), [0.01] * 5) == 0.1
    assert nearest.furthest.tolist() == pytest.approx([0.1] * 10)  # none has as many as are kept
