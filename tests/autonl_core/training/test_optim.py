"""The optimiser: the updates of PyTorch's own SGD, also for weights whose first gradient comes late."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from autonl_core.training.optim import Adam, make_optimizer


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
