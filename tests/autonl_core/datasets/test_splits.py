"""What is set aside: some of every class, and never a part of a group."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from autonl_core.datasets.splits import stratified_draw

LABELS = st.lists(st.integers(0, 4), max_size=80)
GROUPED = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 12)), max_size=60)


@given(LABELS, st.floats(0.05, 0.95), st.integers(0, 100))
def test_a_draw_takes_some_of_every_class_and_never_all(labels: list[int], fraction: float, seed: int) -> None:
    drawn = stratified_draw(labels, fraction, seed)
    assert drawn == stratified_draw(labels, fraction, seed)
    for label, count in Counter(labels).items():
        taken = sum(labels[index] == label for index in drawn)
        assert taken == min(max(1, round(fraction * count)), count - 1)


def test_draws_differ_by_seed() -> None:
    labels = [0] * 50 + [1] * 50
    assert stratified_draw(labels, 0.5, seed=0) != stratified_draw(labels, 0.5, seed=1)


@given(LABELS, st.floats(0.05, 0.95), st.integers(0, 100))
def test_without_groups_the_draw_is_that_of_single_images(labels: list[int], fraction: float, seed: int) -> None:
    assert stratified_draw(labels, fraction, seed, [None] * len(labels)) == stratified_draw(labels, fraction, seed)


@given(GROUPED, st.floats(0.05, 0.95), st.integers(0, 100))
def test_groups_are_drawn_whole_and_no_class_is_lost(
    images: list[tuple[int, int | None]], fraction: float, seed: int
) -> None:
    labels, groups = [label for label, _ in images], [group for _, group in images]
    drawn = stratified_draw(labels, fraction, seed, groups)
    assert drawn == stratified_draw(labels, fraction, seed, groups)
    for group in set(groups) - {None}:
        assert len({index in drawn for index, other in enumerate(groups) if other == group}) == 1
    for label, count in Counter(labels).items():
        assert sum(labels[index] == label for index in drawn) < count


@given(st.lists(st.integers(1, 4), min_size=4, max_size=30), st.integers(0, 100))
def test_a_draw_of_groups_comes_as_near_to_the_fraction_as_the_groups_allow(sizes: list[int], seed: int) -> None:
    """Of one class of groups of up to 4: not too many, unless the smallest group is; short of it by less than 4."""
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    labels = [0] * len(groups)
    wanted = max(1, round(0.2 * len(labels)))
    drawn = len(stratified_draw(labels, 0.2, seed, groups))
    assert wanted - 4 < drawn <= max(wanted, min(sizes))
    assert drawn >= 1


def test_groups_of_two_fill_a_draw_of_ten_by_five() -> None:
    labels, groups = [0] * 50 + [1] * 50, [index // 2 for index in range(100)]
    drawn = stratified_draw(labels, 0.2, 0, groups)
    assert Counter(labels[index] for index in drawn) == {0: 10, 1: 10}


def test_a_group_of_two_classes_counts_for_both() -> None:
    """Images 0 and 10 show the same picture. Drawn or not, each class gets its 2 of 10."""
    labels = [0] * 10 + [1] * 10
    groups: list[int | None] = [None] * 20
    groups[0] = groups[10] = 0
    for seed in range(30):
        drawn = stratified_draw(labels, 0.2, seed, groups)
        assert Counter(labels[index] for index in drawn) == {0: 2, 1: 2}
        assert (0 in drawn) == (10 in drawn)


def test_a_class_of_one_picture_is_not_divided() -> None:
    assert stratified_draw([0] * 5 + [1] * 5, 0.2, 0, [7] * 5 + [None] * 5) <= set(range(5, 10))
