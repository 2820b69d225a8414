"""The tabular tier, in seconds: ways to search among networks that others trained, where the best one is known.

A way to search is scored by its *share of the gain*: 0 for the mean network within the budget, 1 for the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from autonl_core.supernet.budget import Band, BandSampler, Floats, band, evenly, log_scores, project
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.slopes import SlopeSums
from autonl_core.supernet.utilities import fit_utilities, promising, utilities_of, worth_of_scored
from benchmarks.harness import say
from benchmarks.trained_table import BUDGETS_MACS, TrainedTable, trained_table

PRIOR_NETWORKS = 66  # trained at other budgets, for the prior
SLOPE_STEPS = 40
_SLOPE_NOISE = 3.0  # standard deviation of a slope's error, in those of the slopes themselves
_ADAM_RATE, _ADAM_BETAS, _ADAM_EPS = 0.05, (0.9, 0.99), 1e-8

Way = Callable[[TrainedTable, int, np.random.Generator], Choice]


@dataclass(frozen=True)
class Share:
    """The share of the gain of one way to search: over seeds, each the mean over budgets."""

    by_seed: Floats

    @property
    def mean(self) -> float:
        return float(self.by_seed.mean())

    @property
    def half_width(self) -> float:
        """Of Student's 95% interval over seeds."""
        count = len(self.by_seed)
        return float(stats.t.ppf(0.975, count - 1) * self.by_seed.std(ddof=1) / count**0.5)

    def ahead_of(self, other: Share) -> Share:
        """The difference, paired by seed."""
        return Share(self.by_seed - other.by_seed)


def best_of_random(table: TrainedTable, budget_macs: int, rng: np.random.Generator, count: int = 6) -> Choice:
    """The best of a few random networks, whose true accuracy is known: a rival that is better than it can be."""
    choices = table.within(budget_macs)
    drawn = [choices[i] for i in rng.choice(len(choices), count, replace=False)]
    return max(drawn, key=table.top1_pct)


def fitted(
    table: TrainedTable,
    budget_macs: int,
    rng: np.random.Generator,
    beliefs: tuple[Floats, ...] = (),
    first: int = 12,
    rounds: tuple[int, ...] = (4, 4, 3),
) -> Choice:
    """As `phases/scoring.py` searches: scores of `first` random networks, then rounds of promising ones."""
    low, high = band(budget_macs)
    even = BandSampler(table.costs, evenly(table.costs), low, high)
    scored: dict[Choice, float] = {}
    while len(scored) < first:
        drawn = even.draw(rng)
        if drawn is not None and drawn not in scored:
            scored[drawn] = -table.train(drawn, rng)
    for count in rounds:
        known = fit_utilities(table.features, list(scored), list(scored.values()), beliefs)
        for _ in range(count):
            choice = promising(known, table.costs, Band(low, high), rng, scored)
            if choice is not None:
                scored[choice] = -table.train(choice, rng)
    known = fit_utilities(table.features, list(scored), list(scored.values()), beliefs)
    best = project(table.costs, known.scores(), low, high).choice
    scored.setdefault(best, -table.train(best, rng))
    known = fit_utilities(table.features, list(scored), list(scored.values()), beliefs)
    worth = worth_of_scored(known, list(scored), list(scored.values()))
    return list(scored)[int(np.argmax(worth))]


def with_prior(table: TrainedTable, budget_macs: int, rng: np.random.Generator) -> Choice:
    """The same with few scores, and a belief from networks of the other budgets."""
    return fitted(table, budget_macs, rng, (_prior(table, budget_macs, rng),), first=8, rounds=(4, 3))


def prior_alone(table: TrainedTable, budget_macs: int, rng: np.random.Generator) -> Choice:
    """The best network by the belief from the other budgets, with nothing measured at this one."""
    scores = table.features.scores(_prior(table, budget_macs, rng))
    return project(table.costs, scores, *band(budget_macs)).choice


def summed_slopes(table: TrainedTable, budget_macs: int, rng: np.random.Generator) -> Choice:
    """As `autonl` learns: slopes of gates are summed, and the knapsack maximises what they are worth."""
    sums, gates = SlopeSums(_gates(table)), np.full(_gates(table), 0.5)
    for step in range(SLOPE_STEPS):
        vertex = _vertex(table, _draw(table, gates, budget_macs, rng))
        sums.add(step % 2, vertex, _slopes(table, vertex, rng))
    scores = utilities_of(table.features, *sums.worth()).scores()
    return project(table.costs, scores, *band(budget_macs)).choice


def likeliest(table: TrainedTable, budget_macs: int, rng: np.random.Generator) -> Choice:
    """As `autonl` once learned: Adam moves log-odds by the same slopes, and the knapsack maximises likelihood."""
    odds, mean, square = (np.zeros(_gates(table)) for _ in range(3))
    for step in range(1, SLOPE_STEPS + 1):
        p = 1 / (1 + np.exp(-odds))
        vertex = _vertex(table, _draw(table, p, budget_macs, rng))
        slope = np.nan_to_num(_slopes(table, vertex, rng))
        gradient = slope * np.where(vertex > 0.5, 1 - p, p) / 2
        mean = _ADAM_BETAS[0] * mean + (1 - _ADAM_BETAS[0]) * gradient
        square = _ADAM_BETAS[1] * square + (1 - _ADAM_BETAS[1]) * gradient**2
        step_size = _ADAM_RATE * np.sqrt(1 - _ADAM_BETAS[1] ** step) / (1 - _ADAM_BETAS[0] ** step)
        odds = odds - step_size * mean / (np.sqrt(square) + _ADAM_EPS)
    scores = log_scores(_option_probabilities(1 / (1 + np.exp(-odds))))
    return project(table.costs, scores, *band(budget_macs)).choice


WAYS: Mapping[str, Way] = {
    "best of 6 random, truth known": best_of_random,
    "24 scores, fitted": fitted,
    "prior of other budgets": prior_alone,
    "prior, and 16 scores": with_prior,
    f"{SLOPE_STEPS} slope steps, utility": summed_slopes,
    f"{SLOPE_STEPS} slope steps, likelihood": likeliest,
}


def share_of_gain(way: Way, seeds: int) -> Share:
    """The share of the gain that a way to search finds, with every seed at every budget."""
    table = trained_table()
    return Share(
        np.array(
            [np.mean([_found(table, way, budget_macs, seed) for budget_macs in BUDGETS_MACS]) for seed in range(seeds)]
        )
    )


def _found(table: TrainedTable, way: Way, budget_macs: int, seed: int) -> float:
    choice = way(table, budget_macs, np.random.default_rng([seed, budget_macs]))
    return table.share_of_gain(choice, budget_macs)


def _prior(table: TrainedTable, budget_macs: int, rng: np.random.Generator) -> Floats:
    """What features are worth at the other budgets, on average, from one training of each of a few networks."""
    others = [other for other in BUDGETS_MACS if other != budget_macs]
    beliefs = []
    for other in others:
        choices = table.within(other)
        drawn = [choices[i] for i in rng.choice(len(choices), PRIOR_NETWORKS // len(others), replace=False)]
        losses = [-table.train(choice, rng) for choice in drawn]
        beliefs.append(fit_utilities(table.features, drawn, losses).mean)
    return np.asarray(np.mean(beliefs, axis=0))


def _gates(table: TrainedTable) -> int:
    return len(table.features.covariance)


def _option_probabilities(p: Floats) -> list[Floats]:
    """Per position, of skipping, of the small layer and of the large one."""
    return [np.array([1 - there, there * (1 - large), there * large]) for there, large in p.reshape(-1, 2)]


def _draw(table: TrainedTable, p: Floats, budget_macs: int, rng: np.random.Generator) -> Choice:
    choice = BandSampler(table.costs, _option_probabilities(p), *band(budget_macs)).draw(rng)
    assert choice is not None  # every budget has many networks
    return choice


def _vertex(table: TrainedTable, choice: Choice) -> Floats:
    """(gates,) of 0 and 1; NaN for the size of a layer that is skipped."""
    vertex = table.features.of(choice)
    vertex[1::2] = np.where(vertex[::2] > 0, vertex[1::2], np.nan)
    return vertex


def _slopes(table: TrainedTable, vertex: Floats, rng: np.random.Generator) -> Floats:
    """Noisy slopes of minus the accuracy in all gates: what opening each would change, all others as they are."""
    slopes = np.full(len(vertex), np.nan)
    for gate in np.flatnonzero(~np.isnan(vertex)):
        top1s_pct = [table.top1_pct(_choice_at(vertex, int(gate), setting)) for setting in (0, 1)]
        slopes[gate] = top1s_pct[0] - top1s_pct[1]
    return np.asarray(slopes + _SLOPE_NOISE * np.nanstd(slopes) * rng.normal(size=len(slopes)))


def _choice_at(vertex: Floats, gate: int, setting: int) -> Choice:
    """The network at a vertex with one gate set; a layer that is added is a small one."""
    at = np.nan_to_num(vertex)
    at[gate] = setting
    return tuple(int(there * (1 + large)) for there, large in at.reshape(-1, 2))


def print_shares(seeds: int) -> None:
    """The share of the gain of every way, each over so many seeds, with its 95% interval."""
    shares = {name: share_of_gain(way, seeds) for name, way in WAYS.items()}
    first = next(iter(shares))
    say(f"| way to search | share of the gain | ahead of {first} |")
    say("| --- | --- | --- |")
    for name, share in shares.items():
        ahead = share.ahead_of(shares[first])
        say(f"| {name} | {share.mean:.2f} ± {share.half_width:.2f} | {ahead.mean:+.2f} ± {ahead.half_width:.2f} |")
