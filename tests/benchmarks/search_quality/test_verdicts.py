"""Verdicts: paired by cell, with an interval that covers datasets, and numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.search_quality.runs import Cell, Result
from benchmarks.search_quality.verdicts import accuracy_table, holm, resampled, verdict_table, verdicts


def result(arm: str, correct: int, seed: int = 0, dataset: str = "photos", problem: str = "") -> Result:
    cpu_s = 10.0 if arm == "autonl" else 20.0
    cell = Cell(dataset, "4.5M", seed)
    return Result(cell, arm, "in32", 1, 1, 1, 0.0, correct, 100, "", cpu_s, "", {}, problem)


def test_differences_are_paired_by_cell() -> None:
    """Ahead by 2 and 6 points; the third seed has no rival, and the rival of the fourth no score."""
    results = [result("autonl", 80, 0), result("random", 78, 0), result("autonl", 60, 1), result("random", 54, 1)]
    results += [result("autonl", 99, 2), result("autonl", 99, 3), result("random", 0, 3, problem="diverged")]
    (verdict,) = verdicts(results)
    assert (verdict.rival, verdict.cells, verdict.points, verdict.cpu_ratio) == ("random", 2, 4.0, 2.0)
    assert (verdict.low, verdict.high) == (2.0, 6.0)


def test_every_dataset_counts_alike() -> None:
    """Photos: 2 and 6 points; clothes: one seed, 0 points. The mean of their means is 2."""
    results = [result("autonl", 80, 0), result("random", 78, 0), result("autonl", 60, 1), result("random", 54, 1)]
    results += [result("autonl", 70, 0, "clothes"), result("random", 70, 0, "clothes")]
    assert verdicts(results)[0].points == 2.0


def test_the_bootstrap_draws_data_sets_and_not_only_seeds() -> None:
    """Two datasets of one seed each, at 0 and 4: both means are 0 or 4 in a quarter of the cases, else 2."""
    means = resampled({Cell("a", "1M", 0): 0.0, Cell("b", "1M", 0): 4.0}, np.random.default_rng(0))
    assert set(means) == {0.0, 2.0, 4.0}
    assert np.mean(means == 2.0) == pytest.approx(0.5, abs=0.02)


def test_seeds_of_one_dataset_are_drawn_with_replacement() -> None:
    """Two seeds at 0 and 4: the same three means."""
    means = resampled({Cell("a", "1M", 0): 0.0, Cell("a", "1M", 1): 4.0}, np.random.default_rng(0))
    assert np.mean(means == 2.0) == pytest.approx(0.5, abs=0.02)


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    """.01 x 3, .02 x 2 = .04, and .03 x 1, which is not below .04."""
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("ours", "words"), [((80, 81, 82), "ahead"), ((70, 71, 72), "behind"), ((74, 75, 76), "not distinguishable")]
)
def test_a_verdict_is_one_of_three(ours: tuple[int, ...], words: str) -> None:
    rivals = [result("random", 75, seed) for seed in range(3)]
    (verdict,) = verdicts([*(result("autonl", correct, seed) for seed, correct in enumerate(ours)), *rivals])
    assert verdict.words == words


def test_tables_show_accuracy_with_the_number_of_seeds_and_a_row_for_every_rival() -> None:
    results = [result("autonl", 80, 0), result("autonl", 82, 1), result("random", 78, 0), result("random", 80, 1)]
    assert "| autonl | 81.0% (2) |" in accuracy_table(results)
    assert "| random | 2 | +2.0 | +2.0 to +2.0 | 0.000 | 2.00 | not known: too few runs |" in verdict_table(results)
