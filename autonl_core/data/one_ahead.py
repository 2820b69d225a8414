"""Makes the next batch in a thread of its own while the current one is learned from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def one_ahead(batches: Iterator[T], threads: int) -> Iterator[T]:
    """`batches`, each made with `threads` CPU threads while the one before it is used. Errors come where it is due.

    Only for batches that depend on nothing that their users change. Closed, it waits for the one that is being made.
    """
    with ThreadPoolExecutor(1, "next-batch", initializer=torch.set_num_threads, initargs=(threads,)) as maker:
        upcoming = maker.submit(_next, batches)
        while (batch := upcoming.result()) is not None:
            upcoming = maker.submit(_next, batches)
            yield batch[0]


def _next(batches: Iterator[T]) -> tuple[T] | None:
    """The next batch, or None at the end: a future cannot hold StopIteration."""
    for batch in batches:
        return (batch,)
    return None
