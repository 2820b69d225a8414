"""Networks that a search measured, and the front between MACs and accuracy, worked by hand."""

from __future__ import annotations

from autonl_core.spec.measured_network import MeasuredNetwork, front_of


def measured(macs: int, val_top1_pct: float) -> MeasuredNetwork:
    return MeasuredNetwork(f"network of {macs}", macs, 10, 20, "drawn", val_top1_pct)


def test_on_the_front_are_those_that_no_other_beats_with_as_many_macs_or_fewer() -> None:
    networks = [measured(300, 70.0), measured(100, 60.0), measured(200, 59.0), measured(300, 69.0), measured(400, 70.0)]
    assert front_of(networks) == [True, True, False, False, False]


def test_of_equal_ones_the_first_is_on_the_front() -> None:
    assert front_of([measured(100, 60.0), measured(100, 60.0)]) == [True, False]
    assert front_of([]) == []
