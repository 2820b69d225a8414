"""How many CPU threads a phase computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from autonl_core.spec.config import SearchConfig

# MACs of one batch, forward, from which several threads pay: below, they wait for each other longer than they compute.
# A fixed rule and no measurement, so that a search that is resumed, or repeated, computes the same bits.
_PARALLEL_MACS = 100_000_000


def threads_for(batch_macs: int, limit: int) -> int:
    """Threads for batches of so many MACs, at most `limit`."""
    return limit if batch_macs >= _PARALLEL_MACS else 1


def shared_threads(threads: int, batches_macs: int, training_macs: int) -> tuple[int, int]:
    """Threads that train, and threads that make the next batch meanwhile, by the work of one image in each.

    A teacher's answers are a large part of the work, and two tasks side by side use two cores better than one task that
    is divided at every layer. With one thread nothing is made ahead.

    Args:
        batches_macs: of making the batch, the teacher's pass; 0: there is no teacher.
    """
    if threads == 1 or not batches_macs:
        return threads, 0
    ahead = min(max(round(threads * batches_macs / (batches_macs + training_macs)), 1), threads - 1)
    return threads - ahead, ahead


def ahead_threads(config: SearchConfig, threads: int, teacher_macs: int) -> int:
    """Of the `threads` of a search, those that make the next batch while networks learn from a teacher."""
    if not config.teacher.weight:
        return 0
    training = threads_for(config.train.batch_size * config.flops_budget, threads)
    return shared_threads(training, teacher_macs, 3 * config.flops_budget)[1]


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Compute with so many threads, and afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
