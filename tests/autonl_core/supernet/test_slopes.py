"""What summed slopes say of gates, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autonl_core.supernet.slopes import SlopeSums

FREE = math.nan


def added(*steps: tuple[list[float], list[float]]) -> SlopeSums:
    """Sums over steps of (vertex, slopes), which fall into both halves in turn."""
    sums = SlopeSums(len(steps[0][0]))
    for count, (vertex, slopes) in enumerate(steps):
        sums.add(count % 2, np.array(vertex), np.array(slopes))
    return sums


def test_the_worth_of_a_gate_is_what_the_loss_falls_on_average_of_both_settings() -> None:
    sums = added(([0], [-0.4]), ([0], [-0.6]), ([1], [0.1]), ([1], [-0.3]))
    worth, variance = sums.worth()
    # means: closed -.5, open -.1; the loss falls by (.5 + .1) / 2
    assert worth == pytest.approx([0.3])
    # sums of squares about the means: .02 and .08; in common .05 (of 2 degrees of freedom), which counts four times
    closed, opened = (0.02 + 4 * 0.05) / 5 / 2, (0.08 + 4 * 0.05) / 5 / 2
    assert variance == pytest.approx([(closed + opened) / 4])


def test_a_slope_is_not_counted_where_the_gate_is_free() -> None:
    with_free = added(([0], [-0.4]), ([0], [-0.6]), ([FREE], [9.0]), ([1], [0.1]), ([FREE], [0.0]), ([1], [-0.3]))
    without = added(([0], [-0.4]), ([0], [-0.6]), ([1], [0.1]), ([1], [-0.3]))
    for found, expected in zip(with_free.worth(), without.worth(), strict=True):
        assert found == pytest.approx(expected)


def test_a_gate_that_was_drawn_in_one_setting_alone_is_unknown() -> None:
    worth, variance = added(([1], [0.1]), ([1], [0.2]), ([1], [0.3])).worth()
    assert worth == [0]
    assert math.isinf(variance[0])


def test_the_order_of_steps_does_not_matter() -> None:
    steps = [([0.0, 1.0], [-0.4, 0.2]), ([1.0, 0.0], [0.1, 0.3]), ([0.0, 0.0], [-0.2, 0.5]), ([1.0, 1.0], [0.0, 0.1])]
    one, other = added(*steps).worth(), added(*reversed(steps)).worth()
    assert one[0] == pytest.approx(other[0])
    assert one[1] == pytest.approx(other[1])


@pytest.mark.parametrize(("noise", "low", "high"), [(0.1, 0.9, 1.0), (100.0, -0.5, 0.5)])
def test_halves_agree_where_slopes_say_something_and_not_where_they_are_noise(
    noise: float, low: float, high: float
) -> None:
    rng = np.random.default_rng(0)
    truth, sums = rng.normal(size=40), SlopeSums(40)
    for step in range(64):
        sums.add(step % 2, rng.integers(0, 2, 40).astype(float), -truth + noise * rng.normal(size=40))
    assert low <= sums.agreement() <= high


def test_nothing_agrees_while_nothing_is_known() -> None:
    assert SlopeSums(5).agreement() == 0


def test_sums_survive_their_state() -> None:
    sums, again = added(([0], [-0.4]), ([0], [-0.6]), ([1], [0.1]), ([1], [-0.3])), SlopeSums(1)
    again.load_state_dict(sums.state_dict())
    assert again.worth()[0] == sums.worth()[0]
    again.add(0, np.array([0.0]), np.array([0.5]))
    assert again.worth()[0] != sums.worth()[0]  # a copy: what is added to one is not in the other
