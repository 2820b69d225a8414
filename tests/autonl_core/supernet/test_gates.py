"""Gates: the cube of binary choices, and MACs that are exact at its vertices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autonl_core.spec.macs import count_macs
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable

SPACES = [("tiny", 8), ("mobile-32", 32), ("mobile-224", 224)]


@pytest.fixture(params=SPACES, ids=[name for name, _ in SPACES])
def table(request: pytest.FixtureRequest) -> GateTable:
    name, resolution = request.param
    return GateTable(get_space(name, resolution, 10))


def random_vertex(table: GateTable, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, len(table.gates)).astype(float)


def test_expected_macs_equal_the_analytic_macs_at_200_random_vertices(table: GateTable) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        vertex = random_vertex(table, rng)
        choice = table.choice_of(vertex)
        analytic = count_macs(table.arch(choice)).total
        assert table.expected_macs(torch.from_numpy(vertex)).item() == analytic
        assert table.macs(choice) == analytic


def test_expected_macs_are_the_mean_over_random_networks() -> None:
    table = GateTable(get_space("tiny", 8, 10))
    rng = np.random.default_rng(1)
    p = rng.uniform(0.2, 0.8, len(table.gates))
    sampled = [table.macs(table.choice_of((rng.random(len(p)) < p).astype(float))) for _ in range(4000)]
    standard_error = np.std(sampled) / np.sqrt(len(sampled))
    assert abs(table.expected_macs(torch.from_numpy(p)).item() - np.mean(sampled)) < 4 * standard_error


def test_expected_macs_are_linear_in_every_single_gate(table: GateTable) -> None:
    p = np.random.default_rng(2).uniform(0, 1, len(table.gates))
    for index in range(0, len(p), 7):
        at = [p.copy() for _ in range(3)]
        for values, value in zip(at, (0.0, 0.5, 1.0), strict=True):
            values[index] = value
        low, middle, high = (table.expected_macs(torch.from_numpy(values)).item() for values in at)
        assert middle == pytest.approx((low + high) / 2, rel=1e-12)


def test_opening_a_gate_never_makes_a_network_cheaper(table: GateTable) -> None:
    vertex = random_vertex(table, np.random.default_rng(3))
    macs = table.macs(table.choice_of(vertex))
    for index in np.flatnonzero(vertex == 0):
        opened = vertex.copy()
        opened[index] = 1
        assert table.macs(table.choice_of(opened)) >= macs


def test_the_vertex_of_a_choice_gives_that_choice(table: GateTable) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        choice = tuple(int(rng.integers(len(options))) for options in table.options)
        for free_value in (0.0, 1.0):  # gates of skipped layers must not matter
            assert table.choice_of(table.vertex_of(choice, free_value)) == choice


def test_option_probabilities_sum_to_one(table: GateTable) -> None:
    p = np.random.default_rng(5).uniform(0, 1, len(table.gates))
    for probabilities in table.option_probabilities(p):
        assert probabilities.sum() == pytest.approx(1.0)
