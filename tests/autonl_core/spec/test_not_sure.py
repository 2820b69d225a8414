"""Below which probability a network is not sure: by hand, and by counting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autonl_core.spec.not_sure import MIN_IMAGES, NotSure, find_not_sure

ANSWERS = st.lists(st.tuples(st.integers(1, 20).map(lambda share: share / 20), st.booleans()), max_size=80)


def test_the_probability_below_which_fewer_than_half_were_right() -> None:
    unsure, sure = [(0.3, False)] * 15 + [(0.4, True)] * 10, [(0.9, True)] * 40
    probabilities, right = zip(*(sure + unsure), strict=True)
    assert find_not_sure(probabilities, right) == NotSure(below=0.9, test_images=25, test_correct=10)


def test_too_few_images_say_nothing() -> None:
    assert find_not_sure([0.2] * (MIN_IMAGES - 1) + [0.9] * 50, [False] * (MIN_IMAGES - 1) + [True] * 50) is None
    assert find_not_sure([], []) is None


def test_a_network_that_is_mostly_wrong_is_never_sure() -> None:
    assert find_not_sure([0.6] * 30, [False] * 30) == NotSure(1.0, 30, 0)


def test_a_network_that_is_right_is_always_sure() -> None:
    assert find_not_sure([place / 100 for place in range(100)], [True] * 100) is None


@given(ANSWERS)
def test_its_figures_are_those_of_the_images_below_it(answers: list[tuple[float, bool]]) -> None:
    found = find_not_sure([probability for probability, _ in answers], [is_right for _, is_right in answers])
    limits = {probability for probability, _ in answers} | {1.0}
    rights = {limit: [is_right for probability, is_right in answers if probability < limit] for limit in limits}
    fit = [limit for limit, right in rights.items() if len(right) >= MIN_IMAGES and 2 * sum(right) < len(right)]
    assert (found.below if found else None) == max(fit, default=None)
    if found:
        assert (found.test_images, found.test_correct) == (len(rights[found.below]), sum(rights[found.below]))
