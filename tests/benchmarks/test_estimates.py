"""What estimates are compared with, by numbers worked by hand."""

from __future__ import annotations

import pytest

from benchmarks.estimates import Ran, compare, line, off
from store.compute_estimates import ComputeEstimate


def ran(
    name: str, kind: str, work: float, cpu_s: float, low_s: float | None = None, high_s: float | None = None
) -> Ran:
    return Ran(name, kind, work, low_s, high_s, cpu_s, elapsed_s=3 * cpu_s)


def test_an_estimate_is_off_as_many_times_upwards_as_downwards() -> None:
    """Of 50 to 200 s, 100 s are predicted."""
    estimate = ComputeEstimate(50.0, 200.0, 1)
    assert [off(estimate, cpu_s) for cpu_s in (100.0, 125.0, 80.0)] == pytest.approx([1.0, 1.25, 1.25])


def test_each_search_is_compared_with_the_others_of_its_kind() -> None:
    first, second = ran("a", "random", 1e9, 125.0), ran("b", "random", 2e9, 200.0, 112.5, 450.0)
    other = ran("c", "pretrained", 1e9, 9000.0)
    a, b, c = compare([first, second, other])
    assert (a["off"], b["off"]) == (None, pytest.approx(1.125))  # 225 s are predicted
    assert a["off_by_others"] == a["off_by_each"] == pytest.approx(125 / 112.5, rel=1e-3)  # 25 + 175 / 2 s
    assert b["off_by_others"] == pytest.approx(225 / 200, rel=1e-3)
    assert (c["off"], c["off_by_others"], c["off_by_each"]) == (None, None, None)
    assert "nothing known" in line(c)
    assert "112 to 450 CPU s predicted, 200 measured, 600 s elapsed; times off: before 1.12" in line(b)
