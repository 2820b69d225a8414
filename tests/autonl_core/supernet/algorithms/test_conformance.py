"""What the supernet's training relies on, for every algorithm in the registry."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from autonl_core.spec.config import SearchConfig
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.learner import ALGORITHMS, Learner
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.parts import BatchParts

LATE = 0.9  # of a search: warm-up is over, gates matter
BUDGET_MACS = 400_000

pytestmark = pytest.mark.parametrize("name", ALGORITHMS.names())


def config_of(name: str) -> SearchConfig:
    return SearchConfig(dataset="digits", flops_budget=BUDGET_MACS, algorithm=name)


def begin(name: str) -> tuple[Supernet, Learner]:
    """A fresh supernet of the space `tiny`, and the algorithm's learner for it."""
    supernet = Supernet(GateTable(get_space("tiny", 8, 10)), seed=0)
    return supernet, ALGORITHMS.get(name).make_learner(supernet, config_of(name))


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Images (16, 3, 8, 8) and labels (16,)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(16, 3, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
    return x, torch.randint(0, 10, (16,), generator=generator)


def weight_step(learner: Learner, count: int, progress: float = LATE) -> float:
    return float(learner.weight_step(*batch(count), np.random.default_rng(count), progress, BatchParts()))


def slope_step(learner: Learner, count: int) -> None:
    if learner.slope_interval:
        learner.slope_step(*batch(100 + count), np.random.default_rng(count), LATE, BatchParts())


def gradients(supernet: Supernet, learner: Learner) -> Iterator[Tensor]:
    """Of everything that the optimiser of the weights moves."""
    for parameter in [*supernet.parameters(), *learner.extra_parameters()]:
        yield torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def test_a_search_can_name_it(name: str) -> None:
    assert config_of(name).algorithm == name
    assert ALGORITHMS.get(name).name == name


def test_a_weight_step_adds_finite_gradients_and_returns_the_cross_entropy(name: str) -> None:
    supernet, learner = begin(name)
    loss = weight_step(learner, 1)
    assert 0 < loss < 10
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients(supernet, learner))
    assert sum(float(gradient.abs().sum()) for gradient in gradients(supernet, learner)) > 0


def test_equal_steps_give_equal_gradients(name: str) -> None:
    found = []
    for _ in range(2):
        supernet, learner = begin(name)
        weight_step(learner, 1)
        found.append([gradient.clone() for gradient in gradients(supernet, learner)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_every_gate_has_a_probability_that_leaves_both_settings_possible(name: str) -> None:
    supernet, learner = begin(name)
    weight_step(learner, 1)
    slope_step(learner, 1)
    p = learner.probabilities()
    assert p.shape == (len(supernet.table.gates),)
    assert p.dtype == np.float64
    assert ((p > 0) & (p < 1)).all()


@pytest.mark.long
def test_gates_learn(name: str) -> None:
    supernet, learner = begin(name)
    weight_step(learner, 0)
    optimizer = torch.optim.SGD([*supernet.parameters(), *learner.extra_parameters()], lr=0.1)
    before = learner.probabilities()
    for count in range(1, 17):  # enough to see most gates in both settings
        optimizer.zero_grad()
        weight_step(learner, count)
        optimizer.step()
        slope_step(learner, count)
    assert not np.array_equal(learner.probabilities(), before)


def test_its_state_survives_a_run_state_and_goes_on_exactly(name: str) -> None:
    supernet, learner = begin(name)
    weight_step(learner, 1)
    slope_step(learner, 1)
    file = io.BytesIO()
    torch.save({"supernet": supernet.state_dict(), "learner": learner.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)  # as run states are loaded: no code in them
    other_supernet, other = begin(name)
    other_supernet.load_state_dict(saved["supernet"])
    other.load_state_dict(saved["learner"])
    assert np.array_equal(other.probabilities(), learner.probabilities())
    for parameter in supernet.parameters():
        parameter.grad = None
    assert weight_step(other, 2) == weight_step(learner, 2)
    pairs = zip(gradients(supernet, learner), gradients(other_supernet, other), strict=True)
    assert all(torch.equal(one, two) for one, two in list(pairs)[: len(list(supernet.parameters()))])


def test_its_metrics_are_numbers_with_names(name: str) -> None:
    _, learner = begin(name)
    metrics = learner.metrics()
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(metrics)  # no empty names


def test_its_work_is_at_least_that_of_one_training_pass_within_the_budget(name: str) -> None:
    largest_macs = get_space("tiny", 8, 10).macs_range()[1]
    work = ALGORITHMS.get(name).macs_per_image(config_of(name), largest_macs)
    assert work >= 3 * min(BUDGET_MACS, largest_macs)  # forward, and twice that backward
    assert ALGORITHMS.get(name).macs_per_image(config_of(name), 10 * largest_macs) > work
