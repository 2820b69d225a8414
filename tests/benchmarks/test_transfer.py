"""How far results are ahead of their rivals: paired by run, with an interval worked by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.transfer import Arm, Result, ahead_of, read


def run(seed: int, correct: int, **rivals: int) -> Result:
    return Result(Arm("photos", "40M", "auto"), seed, correct, 100, 40_000_000, 80, {}, 0.0, {}, rivals)


def test_differences_are_paired_by_run() -> None:
    """Ahead by 2 and 4 points: 3 in the mean, a standard error of 1, and Student's factor of 12.706."""
    results = [run(0, 82, uniform=80), run(1, 64, uniform=60), run(2, 99)]
    assert ahead_of("uniform", results) == "+3.0 points in 2 runs, 95% interval -9.7 to +15.7"


def test_one_run_has_no_interval() -> None:
    assert ahead_of("uniform", [run(0, 79, uniform=80)]) == "-1.0 points in one run"


def test_of_a_search_that_was_made_again_the_last_result_counts(tmp_path: Path) -> None:
    written = [run(0, 82), run(1, 64), run(0, 82, uniform=80)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(asdict(result)) + "\n" for result in written))
    assert read(tmp_path / "results.jsonl") == [run(0, 82, uniform=80), run(1, 64)]
