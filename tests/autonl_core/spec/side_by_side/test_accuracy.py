"""Whether accuracies are comparable and differ by more than chance: worked by hand, and properties of any scores."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonl_core.spec.result import ClassResult
from autonl_core.spec.right_images import packed
from autonl_core.spec.side_by_side.accuracy import (
    TestScore,
    accuracy_differences,
    classes_agree,
    reason_not_comparable,
)

ONE = TestScore("aa", "digits", "f1", correct=90, images=100)


def scored(search_id: str, correct: int, images: int = 100, right: list[bool] | None = None) -> TestScore:
    return replace(ONE, search_id=search_id, correct=correct, images=images, right=packed(right) if right else None)


def test_unpaired_by_hand() -> None:
    (found,) = accuracy_differences([ONE, scored("bb", 80)])
    assert (found.search_id, found.other_id, found.paired) == ("aa", "bb", False)
    assert found.gap.points == pytest.approx(10.0)
    # square root of (.9 * .1 + .8 * .2) / 100 = .0025
    assert found.gap.error_points == pytest.approx(5.0)
    assert found.chance == pytest.approx(0.0734, abs=1e-4)  # Fisher's exact test of 90, 10 and 80, 20
    assert found.may_be_chance


def test_paired_by_hand() -> None:
    """12 images that only the first gets right, 2 that only the second does: 10 points, as above, but not by chance."""
    both, neither = [(True, True)] * 78, [(False, False)] * 8
    pairs = both + [(True, False)] * 12 + [(False, True)] * 2 + neither
    one, other = (scored(name, sum(right), right=right) for name, right in _columns(pairs))
    (found,) = accuracy_differences([one, other])
    assert (one.correct, other.correct, found.paired, found.may_be_chance) == (90, 80, True, False)
    assert found.gap.points == pytest.approx(10.0)
    # The mean of twelve 1, two -1 and 86 zeros is .1; its variance (14 / 100 - .01) / 99
    assert found.gap.error_points == pytest.approx(100 * math.sqrt(0.13 / 99))
    # Of 14 images at most 2 the other way: 2 * (1 + 14 + 91) / 2 ** 14
    assert found.chance == pytest.approx(212 / 2**14)


def _columns(pairs: list[tuple[bool, bool]]) -> list[tuple[str, list[bool]]]:
    return [("aa", [pair[0] for pair in pairs]), ("bb", [pair[1] for pair in pairs])]


def test_images_that_were_counted_otherwise_are_not_paired() -> None:
    right = [True] * 90 + [False] * 10
    pair = [scored("aa", 91, right=right), scored("bb", 90, right=right)]
    assert [found.paired for found in accuracy_differences(pair)] == [False]


def test_the_more_differences_there_are_the_less_each_may_be_chance() -> None:
    """90 and 77 of 100: p = .0212. Alone that is below 5%; as the least of three it is not below 5% / 3."""
    pair = [ONE, scored("bb", 77)]
    assert [found.may_be_chance for found in accuracy_differences(pair)] == [False]
    with_third = accuracy_differences([*pair, scored("cc", 84)])
    assert [(found.search_id, found.other_id) for found in with_third] == [("aa", "bb"), ("aa", "cc"), ("bb", "cc")]
    assert [found.may_be_chance for found in with_third] == [True, True, True]
    clear = accuracy_differences([ONE, scored("bb", 60), scored("cc", 61)])
    assert [found.may_be_chance for found in clear] == [False, False, True]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            replace(ONE, search_id="bb", dataset="pets"),
            "aa was tested on images of dataset digits, bb on those of pets",
        ),
        (
            replace(ONE, search_id="bb", fingerprint="f2"),
            "dataset digits had other content when aa was started than when bb was",
        ),
        (
            replace(ONE, search_id="bb", images=99),
            "aa was tested on 100 images of dataset digits, bb on 99 others",
        ),
        (replace(ONE, search_id="bb"), None),
    ],
)
def test_what_is_not_comparable_says_why_and_has_no_difference(other: TestScore, said: str | None) -> None:
    assert reason_not_comparable(ONE, other) == said
    assert len(accuracy_differences([ONE, other])) == (said is None)


def test_pairs_that_are_comparable_are_compared_beside_others_that_are_not() -> None:
    stranger = replace(ONE, search_id="bb", dataset="pets")
    found = accuracy_differences([ONE, stranger, scored("cc", 80)])
    assert [(pair.search_id, pair.other_id) for pair in found] == [("aa", "cc")]


def test_classes_agree_in_name_order_and_images() -> None:
    def of(*classes: tuple[str, int]) -> TestScore:
        return replace(ONE, classes=tuple(ClassResult(name, 1, images, 0, 0) for name, images in classes))

    one = of(("a", 60), ("b", 40))
    assert classes_agree([one, one])
    assert not classes_agree([one, of(("b", 40), ("a", 60))])
    assert not classes_agree([one, of(("a", 61), ("b", 39))])
    assert not classes_agree([ONE, ONE])
    assert not classes_agree([])
    assert reason_not_comparable(one, of(("a", 61), ("b", 39))) is not None
    assert reason_not_comparable(one, ONE) is None  # an earlier version stored no classes


IMAGES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


@given(IMAGES)
def test_the_other_way_round_the_difference_has_the_other_sign(pairs: list[tuple[bool, bool]]) -> None:
    for keep in (True, False):
        scores = [scored(name, sum(right), len(right), right if keep else None) for name, right in _columns(pairs)]
        (found,), (back,) = accuracy_differences(scores), accuracy_differences(scores[::-1])
        assert found.paired == keep
        assert found.gap.points == pytest.approx(-back.gap.points)
        assert (found.gap.error_points, found.chance) == pytest.approx((back.gap.error_points, back.chance))
        assert 0 <= found.chance <= 1
        assert found.gap.points == pytest.approx(100 * (scores[0].correct - scores[1].correct) / len(pairs))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n), min_size=2, max_size=5))))
def test_what_is_equal_is_never_ahead(drawn: tuple[int, list[int]]) -> None:
    images, correct = drawn
    scores = [scored(str(place), count, images) for place, count in enumerate(correct)]
    for found in accuracy_differences(scores):
        if found.gap.points == 0:
            assert found.chance == pytest.approx(1.0)
            assert found.may_be_chance
