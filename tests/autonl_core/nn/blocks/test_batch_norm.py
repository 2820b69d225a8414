"""Normalising by the batch: gradients, running statistics, and what keeps to PyTorch's operators."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.nn.blocks.activation import ACTIVATIONS
from autonl_core.nn.blocks.batch_norm import normalise_batch, normalise_in_training
from autonl_core.spec.arch import Activation


def maps(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_finite_differences(activation: Activation | None, layout: torch.memory_format) -> None:
    x = maps(4, 3, 5, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    scale, shift = (maps(3, dtype=torch.float64, seed=seed).requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(partial(normalise_batch, eps=1e-3, activation=activation), (x, scale, shift))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_move_as_those_of_the_module(momentum: float | None) -> None:
    ours, theirs = (nn.BatchNorm2d(6, eps=1e-3, momentum=momentum) for _ in range(2))
    for seed in range(3):
        x = 2 + 3 * maps(4, 6, 5, 5, seed=seed).contiguous(memory_format=torch.channels_last)
        z = normalise_in_training(x, ours, "swish")
        torch.testing.assert_close(z, F.silu(theirs(x)))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_a_gradient_that_is_one_number_everywhere_is_no_special_case() -> None:
    """The mean over positions has such a gradient: a view in which all positions are one place in memory."""
    x, norm = maps(2, 4, 3, 3).requires_grad_(), nn.BatchNorm2d(4)
    normalise_in_training(x, norm, "swish").mean((2, 3)).square().sum().backward()
    ours, x.grad = x.grad, None
    F.silu(norm(x)).mean((2, 3)).square().sum().backward()
    assert ours is not None
    torch.testing.assert_close(ours, x.grad)


def test_slices_of_parameters_get_gradients_of_the_whole() -> None:
    norm = nn.BatchNorm2d(8)
    x = maps(2, 4, 3, 3)
    normalise_batch(x, norm.weight[:4], norm.bias[:4], 1e-3).square().sum().backward()
    assert norm.weight.grad is not None
    assert norm.weight.grad[:4].abs().min() > 0
    assert norm.weight.grad[4:].tolist() == [0, 0, 0, 0]


def test_a_norm_of_another_kind_is_asked_itself() -> None:
    class Recording(nn.BatchNorm2d):
        calls = 0

        def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name that torch gives it)
            self.calls += 1
            return super().forward(input)

    norm = Recording(4)
    normalise_in_training(maps(2, 4, 3, 3), norm)
    assert norm.calls == 1


def test_mixed_precision_keeps_to_the_operators_that_autocast_knows() -> None:
    x = maps(2, 4, 3, 3).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = normalise_batch(x, torch.ones(4), torch.zeros(4), 1e-3, "swish")
    assert z.dtype == torch.bfloat16
    expected = F.silu(F.batch_norm(x.float(), None, None, training=True, eps=1e-3))
    torch.testing.assert_close(z.float(), expected, rtol=0.02, atol=0.02)
