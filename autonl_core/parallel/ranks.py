"""Ranks: the processes that compute one search together, and all that they ever tell each other.

Every rank runs the same program and comes to the same points in the same order; at these it calls the methods here.
Alone, which is the rule, they do nothing, and nothing of `torch.distributed` is loaded.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from autonl_core.errors import RanksError, is_out_of_memory
from autonl_core.host.environment import launched_rank, speak_on_loopback_only

if TYPE_CHECKING:  # torch is loaded by the first method that needs it: these words are known before it is
    from torch import Tensor

# Between two points at which ranks meet, one of them may decode a whole dataset. A rank that dies is noticed at once,
# by its closed connections; that none of them goes on is noticed by who watches the search.
_PATIENCE = datetime.timedelta(days=2)

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those that compute one search: the one called `rank`, of `size`."""

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether no other process takes part."""
        return self.size == 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that reports, and writes run states and results."""
        return self.rank == 0

    def gather(self, values: Tensor) -> list[Tensor]:
        """The tensors of all ranks, in their order: copies of the same shape and type, bit for bit."""
        if self.alone:
            return [values]
        import torch
        import torch.distributed as dist

        gathered = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(gathered, values)
        return gathered

    def largest(self, value: int) -> int:
        """The largest of what the ranks ask with: how they agree. The host waits, but no device does."""
        if self.alone:
            return value
        import torch
        import torch.distributed as dist

        agreed = torch.tensor([value], dtype=torch.int64)  # on the CPU, whatever computes
        dist.all_reduce(agreed, op=dist.ReduceOp.MAX)
        return int(agreed)

    def require_same(self, what: str, value: int) -> None:
        """Return once all ranks have come here with the same value.

        Raises:
            RanksError: they have not. `what`: what the value stands for.
        """
        if self.largest(value) != -self.largest(-value):
            raise RanksError(f"the ranks have found different {what}; start the search again once nothing changes them")

    def all_or_none(self, compute: Callable[[], T]) -> T:
        """`compute()`, which tells other ranks nothing: if memory runs out for one of them, it has for all.

        Raises:
            MemoryError: memory ran out here, or on another rank. Alone: whatever `compute` raised.
        """
        if self.alone:
            return compute()
        failure, result = None, []
        try:
            result.append(compute())
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            failure = str(error) or type(error).__name__  # the error itself would keep what the step had allocated
        if self.largest(failure is not None):
            raise MemoryError(failure or "memory ran out on another rank")
        return result[0]

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Rank 0 does the `with` block before the others do, which then find on the disk what it made."""
        if not self.leads:
            self.largest(0)
        yield
        if self.leads:
            self.largest(0)


ALONE = Ranks()


def join(device_type: str) -> Ranks:
    """Meet the other ranks, if this process was launched as one of several (`parallel/launch.py`).

    They share the CPU threads. Tensors of GPUs travel by NCCL, those of the CPU by gloo, which is also how ranks agree.
    """
    launched = launched_rank()
    if launched is None or launched.size == 1:
        return ALONE
    import torch
    import torch.distributed as dist
    from torch._C._distributed_c10d import FileStore  # as `dist.FileStore`, which torch's stub does not export

    speak_on_loopback_only()
    torch.set_num_threads(max(1, torch.get_num_threads() // launched.size))
    store = FileStore(launched.store, launched.size)
    backend = "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=launched.rank, world_size=launched.size, timeout=_PATIENCE)
    return Ranks(launched.rank, launched.size)


def device_of(device: str, ranks: Ranks) -> str:
    """Where a rank computes if the search does on `device`: of GPUs that are not named, each has the next one."""
    return f"cuda:{ranks.rank}" if device == "cuda" and not ranks.alone else device


def require_shareable(parts: int, ranks: int) -> None:
    """Raises RanksError if so many ranks cannot share batches of so many parts."""
    if parts % ranks:
        raise RanksError(
            f"{ranks} ranks cannot share batches of batch_parts {parts}: set batch_parts to a multiple of {ranks}, or "
            f"start a number of ranks that divides it"
        )
