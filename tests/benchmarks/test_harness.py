"""Timing: every candidate in every round, elapsed time and CPU time side by side."""

from __future__ import annotations

import time

from benchmarks.harness import costs_interleaved, median_costs, time_interleaved


def test_candidates_take_turns_of_one_untimed_call_and_the_timed_ones() -> None:
    calls: list[str] = []
    costs = costs_interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, timed_calls=2)
    assert calls == [*"aaabbb", *"aaabbb"]
    assert {name: len(of_one) for name, of_one in costs.items()} == {"a": 4, "b": 4}


def test_waiting_takes_time_and_no_cpu_time() -> None:
    measured = median_costs({"waits": lambda: time.sleep(0.05)}, rounds=1)
    assert measured["seconds"]["waits"] >= 0.05
    assert measured["cpu_seconds"]["waits"] < 0.025


def test_cpu_time_is_stored_beside_elapsed_time_for_every_candidate() -> None:
    measured = median_costs({"a": lambda: sum(range(1000)), "b": lambda: None}, rounds=1)
    assert measured.keys() == {"seconds", "cpu_seconds"}
    assert all(of_kind.keys() == {"a", "b"} for of_kind in measured.values())
    assert time_interleaved({"a": lambda: None}, rounds=1).keys() == {"a"}
