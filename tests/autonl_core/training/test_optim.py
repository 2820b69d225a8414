"""The optimiser: the updates of PyTorch's own SGD, also for weights whose first gradient comes late."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autonl_core.training.optim import Adam, make_optimizer, stepped_lr


def two_layers() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def plain_sgd(module: nn.Module) -> torch.optim.SGD:
    decay = [{"params": [p for p in module.parameters() if (p.ndim > 1) == wide]} for wide in (True, False)]
    return torch.optim.SGD(
        [decay[0] | {"weight_decay": 1e-2}, decay[1] | {"weight_decay": 0.0}], lr=0.01, momentum=0.9, nesterov=True
    )


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> list[Tensor]:
    """The second layer has gradients from step 2 on."""
    for step in steps:
        optimizer.zero_grad()
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        assert isinstance(module, nn.Sequential)
        (module[0](x) if step < 2 else module(x)).square().sum().backward()
        optimizer.step()
    return [p.detach().clone() for p in module.parameters()]


def test_updates_are_those_of_plain_sgd() -> None:
    ours, theirs = two_layers(), two_layers()
    ends = (
        train(ours, make_optimizer(ours, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-2), range(6)),
        train(theirs, plain_sgd(theirs), range(6)),
    )
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b)


def test_a_saved_state_goes_on_with_the_same_bits() -> None:
    whole, first, second = two_layers(), two_layers(), two_layers()
    expected = train(whole, make_optimizer(whole, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-2), range(6))
    optimizer = make_optimizer(first, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-2)
    train(first, optimizer, range(3))
    second.load_state_dict(first.state_dict())
    resumed = make_optimizer(second, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-2)
    resumed.load_state_dict(optimizer.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(train(second, resumed, range(3, 6)), expected, strict=True))


def test_the_state_of_an_earlier_version_goes_on_too() -> None:
    """It has no momentum for weights without a gradient so far, and says that updates are not fused."""
    theirs, ours = two_layers(), two_layers()
    plain = plain_sgd(theirs)
    train(theirs, plain, range(2))
    state: dict[str, Any] = copy.deepcopy(plain.state_dict())  # loading shares tensors
    assert len(state["state"]) == 2  # of four weights
    ours.load_state_dict(theirs.state_dict())
    optimizer = make_optimizer(ours, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-2)
    optimizer.load_state_dict(state)
    for a, b in zip(train(ours, optimizer, range(2, 6)), train(theirs, plain, range(2, 6)), strict=True):
        torch.testing.assert_close(a, b)


def test_adam_is_that_of_torch_bit_for_bit() -> None:
    ours, theirs = two_layers(), two_layers()
    settings: dict[str, Any] = {"lr": 0.02, "betas": (0.9, 0.99)}
    ends = (
        train(ours, Adam(list(ours.parameters()), **settings), range(6)),
        train(theirs, torch.optim.Adam(list(theirs.parameters()), **settings), range(6)),
    )
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_rmsprop_is_the_published_recipe_s_by_hand() -> None:
    """w = 1, gradients 2 and then 1: the squares are .4 and .46, sqrt(.401) is .633246 and sqrt(.461) .678970."""
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    optimizer = make_optimizer(layer, "rmsprop", lr=0.1, momentum=0.9, weight_decay=0.0)
    for gradient, expected in ((2.0, 1 - 0.3158327), (1.0, 1 - 0.3158327 - 0.1 * (0.9 * 3.158327 + 1.472820))):
        layer.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        assert layer.weight.item() == pytest.approx(expected, abs=1e-5)


def test_rmsprop_decays_kernels_by_way_of_their_gradient_and_nothing_else() -> None:
    """A gradient of 0 and a decay of .5 of w = 2: as a gradient of 1 has it, 1 / sqrt(.101)."""
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(2.0)
    optimizer = make_optimizer(layer, "rmsprop", lr=0.1, momentum=0.9, weight_decay=0.5)
    layer.weight.grad, layer.bias.grad = torch.zeros(1, 1), torch.zeros(1)
    optimizer.step()
    assert layer.weight.item() == pytest.approx(2 - 0.1 * 3.146584, abs=1e-5)
    assert layer.bias.item() == 2.0


def test_a_rate_that_falls_in_steps_by_hand() -> None:
    """x .97 every 2.4 epochs of 10 steps, so every 24 steps: .016, .01552, .0150544."""
    rates = [stepped_lr(step, 2.4 * 10, 0, 0.016, 0.97) for step in (0, 23, 24, 47, 48)]
    assert rates == pytest.approx([0.016, 0.016, 0.01552, 0.01552, 0.0150544])
    warming = [stepped_lr(step, 24, 3, 0.016, 0.97) for step in range(4)]
    assert warming == pytest.approx([0.004, 0.008, 0.012, 0.016])
