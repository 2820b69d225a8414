"""What the host of a search decides, and its user does not: none of it changes which network a search finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.parallel.ranks import ALONE, Ranks

SAVE_STEPS = 200
SUPERNET_BYTES = 128 << 20


@dataclass(frozen=True)
class HostOptions:
    """Where and with how much memory and disk a search runs.

    Args:
        save_steps: training steps between two run states inside an epoch, at most; slow ones are saved by time.
        disk_reserve_bytes: what run states leave free on their disk.
        micro_batches: parts that a batch is computed in from the start; doubles when memory runs out.
        cache_dir: decoded images, shared between searches; None: a temporary folder.
        cache_limit_bytes: of all datasets in `cache_dir`; 0: as the disk allows. Images that do not fit are decoded
            whenever they are used, with the same result.
        parent_supernet: the file that the search left from which this one goes on; None: there is none.
        supernet_limit_bytes: a larger supernet is kept for later searches only if that was asked for.
        limits: of the dataset, as it was checked with.
        ranks: the processes that compute the search together.
    """

    device: str = "cpu"
    save_steps: int = SAVE_STEPS
    disk_reserve_bytes: int = 0
    micro_batches: int = 1
    cache_dir: Path | None = None
    cache_limit_bytes: int = 0
    parent_supernet: Path | None = None
    supernet_limit_bytes: int = SUPERNET_BYTES
    limits: Limits = DEFAULT_LIMITS
    ranks: Ranks = ALONE

    def with_absolute_paths(self) -> HostOptions:
        """The same, whatever the current folder of a process is."""
        cache_dir, parent = (path and path.absolute() for path in (self.cache_dir, self.parent_supernet))
        return replace(self, cache_dir=cache_dir, parent_supernet=parent)


DEFAULT_HOST = HostOptions()
