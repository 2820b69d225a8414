"""What options are worth, learned from scores: by hand, against another computation, and on what is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autonl_core.spec.space_families import get_space
from autonl_core.supernet.budget import Floats, band, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.utilities import (
    OptionFeatures,
    best_within,
    fit_utilities,
    gate_features,
    utilities_of,
    worth_of_gates,
)


def two_switches(resemblance: float = 0.0) -> OptionFeatures:
    """Two positions with two options each: the second has a feature of its own."""
    rows = (np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 1.0]]))
    return OptionFeatures(rows, np.array([[1.0, resemblance], [resemblance, 1.0]]))


ALL_FOUR: list[Choice] = list(itertools.product((0, 1), (0, 1)))


class TestFromScores:
    def test_what_lowers_the_loss_is_worth_that_much(self) -> None:
        losses = [2.0 - 0.5 * a + 0.2 * b for a, b in ALL_FOUR * 2]
        found = fit_utilities(two_switches(), ALL_FOUR * 2, losses)
        assert found.mean == pytest.approx([0.5, -0.2], abs=0.01)
        assert found.of((1, 0)) - found.of((0, 1)) == pytest.approx(0.7, abs=0.02)
        assert [scores.tolist() for scores in found.scores()] == [
            [0, pytest.approx(0.5, abs=0.01)],
            [0, pytest.approx(-0.2, abs=0.01)],
        ]

    def test_what_all_networks_have_in_common_has_no_utility(self) -> None:
        losses = [2.0 - 0.5 * a + 0.2 * b for a, b in ALL_FOUR]
        higher = [loss + 100 for loss in losses]
        mean = fit_utilities(two_switches(), ALL_FOUR, losses).mean
        assert fit_utilities(two_switches(), ALL_FOUR, higher).mean == pytest.approx(mean, abs=1e-6)

    def test_agrees_with_the_formula_of_a_gaussian_process(self) -> None:
        """The mean by another route: kriging with an unknown mean, at the ratio of signal to noise that was chosen."""
        rng, features = np.random.default_rng(1), two_switches(0.5)
        choices = [ALL_FOUR[i] for i in rng.integers(0, 4, 12)]
        phi = np.array([features.of(choice) for choice in choices])
        worth = phi @ [0.3, 0.1] + 0.1 * rng.normal(size=12)
        found = fit_utilities(features, choices, (-worth).tolist())
        prior, noise = covariances_of(found.covariance, features.covariance, phi)
        kernel = phi @ prior @ phi.T + noise * np.eye(12)
        ones = np.ones(12)
        inverse = np.linalg.inv(kernel)
        level = ones @ inverse @ worth / (ones @ inverse @ ones)
        assert found.mean == pytest.approx(prior @ phi.T @ inverse @ (worth - level), abs=1e-9)

    def test_pure_noise_shrinks_to_nothing_and_is_no_evidence(self) -> None:
        table = GateTable(get_space("tiny", 8, 10))
        rng = np.random.default_rng(0)
        choices = random_choices(table, 60, rng)
        found = fit_utilities(gate_features(table), choices, rng.normal(size=60).tolist())
        predicted = np.array([found.of(choice) for choice in choices])
        assert predicted.std() < 0.4
        assert found.evidence < 3

    def test_a_kind_of_gate_that_matters_everywhere_is_found_from_few_scores(self) -> None:
        table = GateTable(get_space("mobile-32", 32, 10))
        truth = np.array([0.1 if gate.name == "kernel" else 0.0 for gate in table.gates])
        rng, features = np.random.default_rng(0), gate_features(table)
        choices = random_choices(table, 24, rng)
        losses = [2 - float(features.of(choice) @ truth) + 0.02 * rng.normal() for choice in choices]
        fresh = random_choices(table, 200, rng)
        found = fit_utilities(features, choices, losses)
        right = [float(features.of(choice) @ truth) for choice in fresh]
        assert np.corrcoef(right, [found.of(choice) for choice in fresh])[0, 1] > 0.9
        assert found.evidence > 10

    def test_a_belief_from_elsewhere_counts_as_far_as_scores_confirm_it(self) -> None:
        table = GateTable(get_space("mobile-32", 32, 10))
        rng, features = np.random.default_rng(0), gate_features(table)
        truth = rng.normal(size=len(table.gates))
        choices, fresh = random_choices(table, 16, rng), random_choices(table, 200, rng)
        losses = [-float(features.of(choice) @ truth) for choice in choices]

        def correlation(*beliefs: Floats) -> float:
            found = fit_utilities(features, choices, losses, beliefs)
            right = [float(features.of(choice) @ truth) for choice in fresh]
            return float(np.corrcoef(right, [found.of(choice) for choice in fresh])[0, 1])

        alone = correlation()
        assert correlation(1000 * truth) > max(0.9, alone)  # in any unit
        assert correlation(rng.normal(size=len(truth))) > alone - 0.1  # a wrong one does little harm

    def test_one_broken_network_does_not_set_the_scale(self) -> None:
        losses = [2.0 - 0.5 * a + 0.2 * b for a, b in ALL_FOUR] * 3
        broken = [*losses, 1e9, float("nan"), float("inf")]
        found = fit_utilities(two_switches(), [*ALL_FOUR * 3, (0, 1), (0, 1), (0, 1)], broken)
        assert found.mean[0] == pytest.approx(0.5, abs=0.3)
        assert abs(found.mean[1]) < 10

    @pytest.mark.parametrize("losses", [[], [1.0], [1.0, 1.0, 1.0]])
    def test_without_differences_nothing_is_known(self, losses: list[float]) -> None:
        found = fit_utilities(two_switches(), ALL_FOUR[: len(losses)], losses)
        assert found.mean.tolist() == [0, 0]
        assert found.evidence == 0
        assert [len(scores) for scores in found.draw(np.random.default_rng(0))] == [2, 2]


class TestFromWorths:
    def test_certain_gates_keep_their_worth_and_uncertain_ones_shrink(self) -> None:
        known = utilities_of(two_switches(), np.array([0.5, 0.5]), np.array([1e-6, 1.0]))
        assert known.mean[0] == pytest.approx(0.5, rel=0.01)
        assert 0 <= known.mean[1] < 0.3
        assert known.covariance[1, 1] > known.covariance[0, 0]

    def test_an_unknown_gate_takes_after_its_kind(self) -> None:
        alike = utilities_of(two_switches(0.8), np.array([0.5, 0.0]), np.array([1e-6, np.inf]))
        unlike = utilities_of(two_switches(0.0), np.array([0.5, 0.0]), np.array([1e-6, np.inf]))
        assert alike.mean[1] == pytest.approx(0.4, rel=0.02)
        assert unlike.mean[1] == 0

    def test_nothing_known_is_nothing_believed(self) -> None:
        assert utilities_of(two_switches(), np.zeros(2), np.full(2, np.inf)).mean.tolist() == [0, 0]


class TestGates:
    def test_an_option_has_the_features_of_the_gates_that_it_opens(self) -> None:
        table = GateTable(get_space("mobile-32", 32, 10))
        features, rng = gate_features(table), np.random.default_rng(0)
        for choice in random_choices(table, 20, rng):
            assert features.of(choice).tolist() == np.nan_to_num(table.vertex_of(choice, np.nan)).tolist()

    def test_gates_of_one_kind_resemble_each_other_most_in_one_stage(self) -> None:
        table = GateTable(get_space("mobile-32", 32, 10))
        covariance = gate_features(table).covariance
        index = {(gate.position, gate.name): i for i, gate in enumerate(table.gates)}
        first, same_stage, later = (index[position, "kernel"] for position in (1, 2, len(table.options) - 1))
        other = index[1, "expand"]
        found = [covariance[first, at] for at in (first, same_stage, later, other)]
        assert found == pytest.approx([1, 2 / 3, 1 / 3, 0])
        assert np.linalg.eigvalsh(covariance).min() > 0

    def test_log_odds_are_what_gates_are_worth(self) -> None:
        assert worth_of_gates(np.array([0.5, 0.75, 0.25])) == pytest.approx([0, np.log(3), -np.log(3)])

    def test_the_best_within_the_budget_is_the_knapsack_over_log_odds(self) -> None:
        table = GateTable(get_space("tiny", 8, 10))
        p, budget = np.random.default_rng(0).uniform(0.1, 0.9, len(table.gates)), 400_000
        chosen = best_within(table, p, budget)
        low, high = band(budget)
        assert low <= table.macs(chosen) <= high
        scores = gate_features(table).scores(worth_of_gates(p))
        assert chosen == project(table, scores, low, high).choice


def random_choices(table: GateTable, count: int, rng: np.random.Generator) -> list[Choice]:
    return [tuple(int(rng.integers(len(options))) for options in table.options) for _ in range(count)]


def covariances_of(posterior: Floats, shape: Floats, phi: Floats) -> tuple[Floats, float]:
    """The scale of the prior and the noise that lead to `posterior`, found by search: neither is kept."""
    count = len(phi)
    centred = np.eye(count) - 1 / count

    def of(scale: float, noise: float) -> Floats:
        return np.asarray(np.linalg.inv(np.linalg.inv(scale * shape) + phi.T @ centred @ phi / noise))

    from scipy.optimize import least_squares

    fitted = least_squares(
        lambda logs: (of(*np.exp(logs)) / posterior - 1).ravel(), x0=[0.0, 0.0], xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    scale, noise = np.exp(fitted.x)
    return scale * shape, float(noise)
