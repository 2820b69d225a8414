"""How far results are ahead of their rivals: paired by run, with an interval worked by hand."""

from __future__ import annotations

from benchmarks.transfer import Arm, Result, ahead_of


def run(seed: int, correct: int, **rivals: int) -> Result:
    return Result(Arm("photos", "40M", "auto"), seed, correct, 100, 40_000_000, 80, {}, 0.0, {}, rivals)


def test_differences_are_paired_by_run() -> None:
    """Ahead by 2 and 4 points: 3 in the mean, a standard error of 1, and Student's factor of 12.706."""
    results = [run(0, 82, uniform=80), run(1, 64, uniform=60), run(2, 99)]
    assert ahead_of("uniform", results) == "+3.0 points in 2 runs, 95% interval -9.7 to +15.7"


def test_one_run_has_no_interval() -> None:
    assert ahead_of("uniform", [run(0, 79, uniform=80)]) == "-1.0 points in one run"
