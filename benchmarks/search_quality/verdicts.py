"""What the results say about every rival: paired differences, a hierarchical bootstrap, and a verdict.

Differences are paired by cell. The bootstrap draws datasets, in each of them budgets, and in each of those seeds, so
that its interval covers what another dataset would have shown. P-values of all rivals are adjusted by Holm's method.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from benchmarks.search_quality.arms import OURS
from benchmarks.search_quality.runs import Cell, Result
from benchmarks.table_format import table

RESAMPLES = 10_000
_SIGNIFICANT = 0.05
_FEWEST_CELLS = 3  # with fewer there is nothing that a bootstrap could draw


@dataclass(frozen=True)
class Verdict:
    """How far the search is ahead of a rival at equal compute, in points of top-1 with a 95% interval.

    `p` is two-sided and adjusted; `cpu_ratio` is the CPU time of the rival relative to that of the search.
    """

    rival: str
    cells: int
    points: float
    low: float
    high: float
    p: float
    cpu_ratio: float

    @property
    def words(self) -> str:
        if self.cells < _FEWEST_CELLS:
            return "not known: too few runs"
        if self.p >= _SIGNIFICANT:
            return "not distinguishable"
        return "ahead" if self.points > 0 else "behind"


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """One for every rival that shares a cell with the search, in the order of their first results."""
    scored = [result for result in results if not result.problem]
    ours = {result.cell: result for result in scored if result.arm == OURS}
    pairs: dict[str, list[tuple[Result, Result]]] = defaultdict(list)
    for rival in scored:
        if rival.arm != OURS and rival.cell in ours:
            pairs[rival.arm].append((ours[rival.cell], rival))
    found = [_verdict(rival, compared) for rival, compared in pairs.items()]
    adjusted = holm([verdict.p for verdict in found])
    return [Verdict(**{**vars(verdict), "p": p}) for verdict, p in zip(found, adjusted, strict=True)]


def _verdict(rival: str, compared: Sequence[tuple[Result, Result]]) -> Verdict:
    points = {ours.cell: ours.top1_pct - other.top1_pct for ours, other in compared}
    means = resampled(points, np.random.default_rng(0))
    low, high = np.percentile(means, [2.5, 97.5])
    beyond = min(np.mean(means <= 0), np.mean(means >= 0))
    return Verdict(
        rival=rival,
        cells=len(points),
        points=_mean_of(points),
        low=float(low),
        high=float(high),
        p=min(1.0, 2 * max(float(beyond), 1 / RESAMPLES)),
        cpu_ratio=sum(other.cpu_s for _, other in compared) / sum(ours.cpu_s for ours, _ in compared),
    )


def resampled(points: Mapping[Cell, float], rng: np.random.Generator) -> np.ndarray:
    """Means of `points`, (RESAMPLES,), over datasets, their budgets and their seeds, each drawn with replacement."""
    nested = _nested(points)

    def draw() -> float:
        return float(np.mean([_of_dataset(nested[place]) for place in rng.integers(len(nested), size=len(nested))]))

    def _of_dataset(budgets: list[np.ndarray]) -> float:
        places = rng.integers(len(budgets), size=len(budgets))
        return float(np.mean([rng.choice(budgets[place], len(budgets[place])).mean() for place in places]))

    return np.array([draw() for _ in range(RESAMPLES)])


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: the smallest times their number, the next times one less, and so on."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _nested(points: Mapping[Cell, float]) -> list[list[np.ndarray]]:
    """By dataset, by budget: the differences of all seeds."""
    nested: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell, value in points.items():
        nested[cell.dataset][cell.budget].append(value)
    return [[np.array(values) for values in budgets.values()] for budgets in nested.values()]


def _mean_of(points: Mapping[Cell, float]) -> float:
    return float(np.mean([np.mean([values.mean() for values in budgets]) for budgets in _nested(points)]))


def verdict_table(results: Sequence[Result]) -> str:
    """One row for every rival."""
    rows = [
        [
            one.rival,
            str(one.cells),
            f"{one.points:+.1f}",
            f"{one.low:+.1f} to {one.high:+.1f}",
            f"{one.p:.3f}",
            f"{one.cpu_ratio:.2f}",
            one.words,
        ]
        for one in verdicts(results)
    ]
    return table(
        ["rival", "runs", "search ahead by, points", "95% interval", "p", "its CPU time", "the search is"], rows
    )


def accuracy_table(results: Sequence[Result]) -> str:
    """Mean top-1 of every arm on every dataset and budget, and of how many seeds."""
    columns = sorted({(result.cell.dataset, result.cell.budget) for result in results})
    by_arm: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if not result.problem:
            by_arm[result.arm][result.cell.dataset, result.cell.budget].append(result.top1_pct)
    rows = [[arm, *(_shown(found.get(column, [])) for column in columns)] for arm, found in by_arm.items()]
    return table(["network", *(f"{dataset}, {budget}" for dataset, budget in columns)], rows)


def _shown(top1s_pct: Sequence[float]) -> str:
    return f"{mean(top1s_pct):.1f}% ({len(top1s_pct)})" if top1s_pct else ""
