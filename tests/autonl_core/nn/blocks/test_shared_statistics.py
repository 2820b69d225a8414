"""Threads in place of ranks: each has a share of a batch, and together they compute what one has of the whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.nn.blocks.batch_norm import normalise_batch, normalise_in_training
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.blocks.shared_statistics import shares_statistics, sharing_statistics
from autonl_core.parallel.ranks import Ranks
from autonl_core.spec.arch import LightNLSpec

SHARES = (3, 2)  # images of each rank
T = TypeVar("T")


@dataclass(frozen=True)
class Thread(Ranks):
    """A rank that finds the others in this process."""

    tables: list[list[Tensor]] = field(default_factory=list)
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))

    def gather(self, values: Tensor) -> list[Tensor]:
        if self.barrier.wait(10) == 0:
            self.tables.append([torch.empty(0)] * self.size)
        self.barrier.wait(10)
        table = self.tables[-1]
        table[self.rank] = values.clone()
        self.barrier.wait(10)
        return list(table)


def on_two(compute: Callable[[int], T]) -> list[T]:
    """What `compute` returns on each rank."""
    first = Thread(0, 2)
    ranks = (first, Thread(1, 2, first.tables, first.barrier))

    def one(rank: Thread) -> T:
        with sharing_statistics(rank):
            return compute(rank.rank)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, ranks))


def maps(*shape: int, seed: int = 0) -> Tensor:
    return 2 + 3 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def differentiated(x: Tensor, module: nn.Module, forward: Callable[[Tensor], Tensor], weights: Tensor) -> list[Tensor]:
    """The output of `forward`; gradients of x and of the parameters, of its sum weighted by `weights`."""
    x = x.clone().requires_grad_()
    out = forward(x)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), [x, *module.parameters()], allow_unused=True)]


@pytest.mark.parametrize("kind", ["module", "function", "light_nl"])
def test_shares_of_a_batch_give_what_the_whole_batch_does(kind: str) -> None:
    x, weights = maps(5, 4, 6, 6), maps(5, 4, 6, 6, seed=1)

    def norm_and_pass() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
        if kind == "light_nl":
            block = LightNL(4, LightNLSpec(0.5, 1)).double()
            for seed, parameter in enumerate(block.parameters(), start=2):
                parameter.data.copy_(maps(*parameter.shape, seed=seed))
            return block, block
        norm = nn.BatchNorm2d(4, eps=1e-3, momentum=0.1).double()
        if kind == "module":
            return norm, lambda x: normalise_in_training(x, norm, "swish")
        return norm, lambda x: normalise_batch(x, norm.weight, norm.bias, norm.eps, "swish")

    whole, forward = norm_and_pass()
    expected = differentiated(x, whole, forward, weights)
    modules = [norm_and_pass() for _ in SHARES]
    shares = list(zip(x.split(SHARES), weights.split(SHARES), strict=True))
    found = on_two(lambda rank: differentiated(shares[rank][0], *modules[rank], shares[rank][1]))
    for name, place in (("out", 0), ("x", 1)):
        torch.testing.assert_close(torch.cat([each[place] for each in found]), expected[place], msg=name)
    for ours, other, theirs in zip(*(each[2:] for each in (*found, expected)), strict=True):
        torch.testing.assert_close(ours + other, theirs)  # as gradients of parts are added
    for module, _ in modules:
        for name, value in whole.named_buffers():
            torch.testing.assert_close(module.get_buffer(name), value)


def test_alone_and_outside_of_the_block_nothing_is_shared() -> None:
    with sharing_statistics(Ranks(0, 2)):
        assert shares_statistics()
    assert not shares_statistics()
    with sharing_statistics(Ranks()):
        assert not shares_statistics()


def test_another_thread_shares_nothing() -> None:
    """Such as one in which a teacher answers: its own batch norms, if any, must not wait for ranks."""
    with sharing_statistics(Ranks(0, 2)), ThreadPoolExecutor(1) as pool:
        assert not pool.submit(shares_statistics).result()


def test_a_map_of_half_precision_keeps_its_type() -> None:
    x = maps(2, 3, 4, 4).bfloat16()
    scale, shift = torch.ones(3), torch.zeros(3)
    shared = on_two(lambda rank: normalise_batch(x[rank : rank + 1], scale, shift, 1e-3))
    assert shared[0].dtype == torch.bfloat16
    whole = F.batch_norm(x.float(), None, None, scale, shift, True, 0.0, 1e-3)
    torch.testing.assert_close(torch.cat(shared).float(), whole, atol=0.02, rtol=0.01)
