"""The supernet: gated, sliced and derived networks are one and the same function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autonl_core.spec.arch import Padding
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.supernet import Supernet

SPACES: list[tuple[str, int, Padding]] = [
    ("tiny", 8, "symmetric"),
    ("tiny", 11, "symmetric"),  # odd maps, where strided positions are ceil(H/2)
    ("mobile-32", 32, "symmetric"),
    ("mobile-32", 32, "same"),
    ("lite", 64, "same"),  # chains of gates for four expansions
]


@pytest.fixture(params=SPACES, ids=["-".join(map(str, space)) for space in SPACES])
def supernet(request: pytest.FixtureRequest) -> Supernet:
    name, resolution, padding = request.param
    made = Supernet(GateTable(replace(get_space(name, resolution, 10), padding=padding)), seed=0)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 1:  # scales and shifts with a life of their own, so that every path matters
                parameter.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(parameter.numel()))
    return made


def images(supernet: Supernet, count: int = 8) -> Tensor:
    size = supernet.table.space.resolution
    batch = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))
    return batch.to(memory_format=torch.channels_last)


def relative_difference(a: Tensor, b: Tensor) -> float:
    a, b = a.detach(), b.detach()
    return ((a - b).abs().max() / b.abs().max()).item()


def test_a_sliced_child_equals_the_gated_supernet_at_hard_gates(supernet: Supernet) -> None:
    rng, x = np.random.default_rng(0), images(supernet)
    for _ in range(8):
        vertex = rng.integers(0, 2, len(supernet.table.gates))
        gated = supernet.forward_gated(x, torch.from_numpy(vertex).float())
        sliced = supernet.forward_choice(x, supernet.table.choice_of(vertex.astype(float)))
        assert relative_difference(gated, sliced) < 1e-5


def test_a_derived_network_computes_what_the_supernet_computed(supernet: Supernet) -> None:
    rng, x = np.random.default_rng(1), images(supernet)
    for _ in range(4):
        choice = tuple(int(rng.integers(len(options))) for options in supernet.table.options)
        network = supernet.derive(choice)
        assert network.arch == supernet.table.arch(choice)
        assert relative_difference(network.train()(x), supernet.forward_choice(x, choice)) < 1e-5


def test_a_derived_network_is_where_the_supernet_is() -> None:
    """Else a search on a GPU could not score the best so far, which a stop hands over."""
    table = GateTable(get_space("tiny", 16, 10))
    supernet = Supernet(table, seed=0).to("meta")  # the one device besides the CPU that every machine has
    tensors = supernet.derive(table.choice_of(np.ones(len(table.gates)))).state_dict().values()
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.long
def test_the_derivative_in_a_gate_is_that_of_finite_differences() -> None:
    table = GateTable(get_space("tiny", 16, 10))
    supernet = Supernet(table, seed=0).double()
    x = torch.randn(8, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(8)

    def loss(gates: Tensor) -> Tensor:
        return F.cross_entropy(supernet.forward_gated(x, gates), labels)

    start = torch.full((len(table.gates),), 0.5, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(start), start)
    assert bool((slope != 0).all())  # no gate is cut off
    for index in range(len(table.gates)):
        step = torch.zeros_like(start)
        step[index] = 1e-5
        with torch.no_grad():
            difference = (loss(start + step) - loss(start - step)) / 2e-5
        assert slope[index].item() == pytest.approx(difference.item(), rel=1e-4, abs=1e-9)


def test_gradients_reach_every_weight_of_the_largest_child_and_none_outside_a_small_one() -> None:
    table = GateTable(get_space("tiny", 8, 10))
    supernet = Supernet(table, seed=0)
    x = images(supernet)
    largest = tuple(len(options) - 1 for options in table.options)
    supernet.forward_choice(x, largest).square().sum().backward()
    assert [name for name, p in supernet.named_parameters() if p.grad is None or not p.grad.any()] == []

    supernet.zero_grad()
    no_light_nl = tuple(next(i for i, o in enumerate(options) if o is not None) for options in table.options)
    supernet.forward_choice(x, no_light_nl).square().sum().backward()
    for name, parameter in supernet.named_parameters():
        if "light_nl" in name:
            assert parameter.grad is None or not parameter.grad.any()
    block = supernet.super_blocks()[1]
    gradient = block.block.depthwise.conv.weight.grad
    assert gradient is not None
    assert not (gradient * (1 - block.core)).any()  # the ring of the 5x5 kernel
    small = block.widths["expand"].start
    assert gradient[:small].any()
    assert not gradient[small:].any()


def test_equal_seeds_make_equal_supernets() -> None:
    table = GateTable(get_space("tiny", 8, 10))
    first, second, other = (Supernet(table, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
