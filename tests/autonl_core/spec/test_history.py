"""The curves that a run keeps: all points while they are few, an even choice of many, the same after a resume."""

from __future__ import annotations

import itertools
import math

from autonl_core.spec.history import MAX_POINTS, History, PlacedNetwork


def filled(points: int) -> History:
    found = History()
    for number in range(points):
        found.add("training", number + 1, float(number), {"loss": 1.0 / (number + 1)})
    return found


def test_few_points_are_all_kept_in_order() -> None:
    found = filled(3)
    assert [(p.epoch, p.at_s, p.values["loss"]) for p in found.of("training")] == [
        (1, 0, 1),
        (2, 1, 1 / 2),
        (3, 2, 1 / 3),
    ]
    assert found.of("searching") == ()


def test_of_many_an_even_choice_stays_whatever_their_number() -> None:
    for count in (MAX_POINTS, MAX_POINTS + 1, 3 * MAX_POINTS, 10_000):
        epochs = [p.epoch for p in filled(count).of("training")]
        (stride,) = {b - a for a, b in itertools.pairwise(epochs)}
        assert stride == 2 ** math.ceil(math.log2(count / MAX_POINTS))
        assert MAX_POINTS / 2 < len(epochs) <= MAX_POINTS
        assert (epochs[0], count - epochs[-1] < stride) == (1, True)


def test_a_long_training_does_not_thin_out_the_search() -> None:
    found = filled(10_000)
    found.add("searching", 1, 0.5, {"loss": 2.0})
    assert len(found.of("searching")) == 1


def test_it_goes_on_from_its_state_as_if_it_had_never_left_memory() -> None:
    whole, first = filled(5000), filled(2500)
    second = History.from_state(first.to_state())
    for number in range(2500, 5000):
        second.add("training", number + 1, float(number), {"loss": 1.0 / (number + 1)})
    assert second.of("training") == whole.of("training")
    assert second.to_state() == whole.to_state()


def test_a_curve_leaves_out_what_was_not_measured_or_is_no_number() -> None:
    found = History()
    for epoch, values in enumerate(({"loss": 2.0}, {"top1": 5.0}, {"loss": math.nan}, {"loss": 1.0}), start=1):
        found.add("searching", epoch, 0.0, values)
    assert found.curve("searching", "loss") == ([1, 4], [2.0, 1.0])
    assert History().curve("searching", "loss") == ([], [])


def test_networks_of_epochs_are_kept_in_order_and_after_a_resume() -> None:
    found = History()
    for epoch, skipped in ((1, (2,)), (2, ()), (None, (2, 3)), (2, (4,))):
        found.place(PlacedNetwork(epoch, "in8 | fc10", skipped))
    assert [(one.epoch, one.skipped) for one in found.networks] == [(1, (2,)), (2, (4,)), (None, (2, 3))]
    assert History.from_state(found.to_state()).networks == found.networks
    of_earlier_version = {name: value for name, value in found.to_state().items() if name != "networks"}
    assert History.from_state(of_earlier_version).networks == ()
