"""What is set aside: some of every class, and never a part of a group."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from autonl_core.datasets.splits import is_like, stratified_draw, united

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


def test_what_shares_a_picture_or_a_patient_directly_or_through_others_is_one_group() -> None:
    """0 and 1 show one picture, 1 and 3 are of one patient, 4 and 5 of another; 2 and 6 stand for themselves."""
    pictures = [8, 8, None, None, None, None, 9]
    patients = [None, "P1", "P2", "P1", "P3", "P3", None]
    assert united(pictures, patients) == [0, 0, None, 0, 1, 1, None]


def _meet(one: tuple[int | None, str | None], other: tuple[int | None, str | None]) -> bool:
    return any(mine is not None and mine == theirs for mine, theirs in zip(one, other, strict=True))


@given(st.lists(st.tuples(st.none() | st.integers(0, 6), st.none() | st.sampled_from("abcdef")), max_size=30))
def test_united_groups_are_the_components_of_a_graph(keys: list[tuple[int | None, str | None]]) -> None:
    found = united([number for number, _ in keys], [value for _, value in keys])
    shares = [{other for other, theirs in enumerate(keys) if _meet(own, theirs)} for own in keys]
    for start in range(len(keys)):
        reached: set[int] = set()
        waiting = {start}
        while waiting:
            reached |= waiting
            waiting = {other for index in waiting for other in shares[index]} - reached
        same = {index for index, group in enumerate(found) if group is not None and group == found[start]}
        assert (same or {start}) == reached


def test_a_draw_of_groups_is_like_one_of_images_if_every_class_gets_about_its_share() -> None:
    labels = [0] * 20 + [1] * 20
    usual = {*range(4), *range(20, 24)}  # 4 of each
    for taken, is_fair in ((1, False), (2, True), (6, True), (7, False)):
        assert is_like({*range(taken), *range(20, 24)}, usual, labels, 2) is is_fair
    few = [0] * 3 + [1] * 20
    assert is_like({0, *range(3, 7)}, {0, *range(3, 7)}, few, 2)
    assert not is_like({0, 1, *range(3, 7)}, {0, *range(3, 7)}, few, 2)  # one image is left, where two could be
