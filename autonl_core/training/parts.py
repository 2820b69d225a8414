"""A batch in parts: what each of them computes alone is added in one order, by however many processes.

The number of parts belongs to a search (`batch_parts`), so its result does not depend on the number of ranks that share
them: sums of floating-point numbers depend on their order, and here that is always the order of the parts. Batch norms
see one part at a time. What a forward pass moves, such as running statistics, each part moves from where the step
began, and the mean over the parts stays.

With `batch_statistics: batch`, batch norms see the whole batch: one process computes it at once; of several each has
one part, and shares its statistics with the others (`nn/blocks/shared_statistics.py`).

`training/micro_batches.py` divides further where memory is short, which does change bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import torch
from torch import Tensor

from autonl_core.nn.blocks.shared_statistics import sharing_statistics
from autonl_core.parallel.ranks import ALONE, Ranks, require_shareable
from autonl_core.spec.config import MIN_PART_IMAGES, SearchConfig
from autonl_core.training.micro_batches import MicroBatches, split


@dataclass(frozen=True)
class Part:
    """One part of a batch: images x (b, 3, R, R), labels (b,) or (b, classes), and its share of the batch, 0 to 1."""

    x: Tensor
    labels: Tensor
    share: float = 1.0
    number: int = 0


Compute = Callable[[Part, int], Tensor]  # of a part, in so many micro-batches
Moved = Callable[[], Sequence[Tensor]]  # what forward passes move; their shapes are the same after every one


def _nothing() -> Sequence[Tensor]:
    return ()


@dataclass(frozen=True)
class BatchParts:
    """How batches are divided.

    Args:
        count: parts of a batch; a multiple of the number of ranks.
        ranks: they share the parts, the first ones to rank 0 and so on.
        parameters: those whose gradients a step starts without.
        shares_statistics: batch norms see the whole batch. Then every rank has one part.
    """

    count: int = 1
    ranks: Ranks = ALONE
    micro_batches: MicroBatches = field(default_factory=MicroBatches)
    parameters: Sequence[Tensor] = ()
    shares_statistics: bool = False

    @property
    def ranks_that_matter(self) -> int:
        """On how many ranks the bits of a search depend; 1 if on none."""
        return self.ranks.size if self.shares_statistics else 1

    def differentiate(self, x: Tensor, labels: Tensor, compute: Compute, moved: Moved = _nothing) -> Tensor:
        """Leave gradients of a batch in the parameters; the sum of what the parts measured.

        Args:
            compute: adds gradients of a part, its loss times its share, and returns what it measured, (n,) float64.
            moved: buffers that `compute` changes. Of floats the mean stays, of others what the last part left.
        """

        def one(part: Part, micro_batches: int) -> Tensor:
            for parameter in self.parameters:
                parameter.grad = None
            return compute(part, micro_batches)

        if self.count == 1:
            return self.micro_batches.step(lambda count: one(Part(x, labels), count))
        return self._differentiate_parts(x, labels, one, moved)

    def sum(self, x: Tensor, labels: Tensor, compute: Compute) -> Tensor:
        """The sum of what `compute` returns of the parts of a batch, a tensor of the same shape for each."""
        if self.count == 1:
            return self.micro_batches.step(lambda count: compute(Part(x, labels), count))
        return reduce(torch.add, self._of_parts(x, labels, compute))

    def first(self, x: Tensor, labels: Tensor) -> Tensor:
        """The images that a batch norm sees at once, those of the first part if there are several: on every rank."""
        return x if self.shares_statistics else split(x, labels, self.count)[0][0]

    def _differentiate_parts(self, x: Tensor, labels: Tensor, compute: Compute, moved: Moved) -> Tensor:
        before = [buffer.clone() for buffer in moved()]

        def packed(part: Part, micro_batches: int) -> Tensor:
            for buffer, value in zip(moved(), before, strict=True):
                buffer.copy_(value)
            measured = compute(part, micro_batches)
            left = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
            left += [buffer for buffer in moved() if buffer.is_floating_point()]
            return torch.cat([measured.view(torch.float32), *(value.detach().reshape(-1) for value in left)])

        rows = self._of_parts(x, labels, packed)
        targets = [parameter for parameter in self.parameters if parameter.grad is not None]
        buffers = [buffer for buffer in moved() if buffer.is_floating_point()]
        measured_floats = len(rows[0]) - sum(target.numel() for target in (*targets, *buffers))
        total = reduce(torch.add, (row[measured_floats:] for row in rows))
        values = total.split([target.numel() for target in (*targets, *buffers)])
        for parameter, value in zip(targets, values[: len(targets)], strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(value.view(parameter.shape))
        for buffer, value in zip(buffers, values[len(targets) :], strict=True):
            buffer.copy_(value.view(buffer.shape) / len(rows))
        measured = torch.stack([row[:measured_floats] for row in rows]).view(torch.float64)  # (parts, n), aligned
        return reduce(torch.add, measured)

    def _of_parts(self, x: Tensor, labels: Tensor, compute: Compute) -> list[Tensor]:
        """What `compute` returns of every part, in their order."""
        parts = [Part(*piece, number) for number, piece in enumerate(split(x, labels, self.count))]
        if len(parts) < self.count:  # a batch of a few images: every rank computes all
            return self.micro_batches.step(lambda count: [compute(part, count) for part in parts])
        share = self.count // self.ranks.size
        own = parts[self.ranks.rank * share : (self.ranks.rank + 1) * share]
        if self.shares_statistics:
            with sharing_statistics(self.ranks):  # a rank that waits for others in a batch norm cannot try again
                most = len(labels) // self.count // MIN_PART_IMAGES  # as many on every rank, whatever its share
                rows = torch.stack([compute(part, min(self.micro_batches.parts, most)) for part in own])
        else:
            rows = self.micro_batches.step(lambda count: torch.stack([compute(part, count) for part in own]))
        return [row for of_rank in self.ranks.gather(rows) for row in of_rank]


def parts_of(config: SearchConfig, ranks: Ranks, micro_batches: MicroBatches) -> BatchParts:
    """How the batches of a search are divided among so many ranks.

    Raises:
        RanksError: they cannot share its parts.
    """
    require_shareable(config.batch_parts, ranks.size)
    shares = config.batch_statistics == "batch"
    return BatchParts(ranks.size if shares else config.batch_parts, ranks, micro_batches, shares_statistics=shares)
