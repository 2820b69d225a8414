"""What happens when memory runs out in a training step: the same batch again, in smaller parts.

The gradients of the parts are summed, so a step still learns from the whole batch; only batch-norm statistics are those
of the parts. A search that had to do so is no longer repeatable bit for bit, and says it (`exact` false).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from autonl_core.errors import StepTooLarge, is_out_of_memory
from autonl_core.host.memory import return_freed_memory
from autonl_core.parallel.ranks import ALONE, Ranks
from autonl_core.spec.config import MIN_PART_IMAGES

MAX_PARTS = 8

T = TypeVar("T")


class MicroBatches:
    """How many parts a batch is computed in; doubles when memory runs out, on whichever rank, up to `MAX_PARTS`."""

    def __init__(
        self, parts: int = 1, on_split: Callable[[int], None] = lambda parts: None, ranks: Ranks = ALONE
    ) -> None:
        """`on_split` is called with every new number of parts."""
        self.parts = min(max(parts, 1), MAX_PARTS)
        self._on_split = on_split
        self._ranks = ranks

    def raise_to(self, parts: int) -> None:
        """Compute in at least so many parts from now on: memory did not suffice for fewer before."""
        self.parts = max(self.parts, parts)

    def step(self, compute: Callable[[int], T]) -> T:
        """`compute(parts)`, again with more parts if memory runs out. It has to clear gradients before it adds any.

        Raises:
            StepTooLarge: memory runs out even in `MAX_PARTS` parts.
        """
        while True:
            try:
                return self._ranks.all_or_none(lambda: compute(self.parts))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.parts >= MAX_PARTS:
                    raise StepTooLarge(f"memory runs out even for a {MAX_PARTS}th of a batch: {error}") from error
            return_freed_memory()
            self.parts *= 2  # outside of the handler, which would keep the tensors of the failed step alive
            self._on_split(self.parts)


def split(x: Tensor, labels: Tensor, parts: int) -> list[tuple[Tensor, Tensor, float]]:
    """A batch, x (B, 3, R, R) and labels (B,), in at most `parts` parts, each with its share of the batch."""
    parts = max(1, min(parts, len(labels) // MIN_PART_IMAGES))
    if parts == 1:
        return [(x, labels, 1.0)]
    return [
        (a, b, len(b) / len(labels)) for a, b in zip(x.tensor_split(parts), labels.tensor_split(parts), strict=True)
    ]
