"""How much work a search is, how much of it is done, and how long the rest takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from autonl_core.spec.config import SearchConfig


@dataclass
class Pace:
    """How far a search is. Work is counted in image-MACs; `done` of `total` is the fraction, and its speed the ETA."""

    total: float
    done: float = 0.0
    done_at_start: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float:
        return min(0.999, self.done / self.total) if self.total else 0.0

    def eta_s(self) -> float | None:
        """Seconds to the end at the speed of this attempt; None until there is a speed to speak of."""
        worked = self.done - self.done_at_start
        if worked < 0.005 * self.total:
            return None
        return (time.monotonic() - self.started) * max(0.0, self.total - self.done) / worked


def child_work(config: SearchConfig) -> float:
    """Work of training one image in a network of the budget, in MACs: forward, and twice that backward."""
    return 3.0 * config.flops_budget


def supernet_work(config: SearchConfig, largest_macs: int) -> float:
    """The same for one image in the supernet."""
    if config.algorithm == "autonl-paper":
        return 3.0 * largest_macs
    # two children, on the way from above to the budget, and the full supernet in every fourth step
    return 2 * 1.3 * child_work(config) + 3.0 * largest_macs / 4


def planned_work(config: SearchConfig, largest_macs: int, fit_images: int, train_images: int) -> float:
    """All work of a search in image-MACs, from the configuration alone."""
    finalist_passes, survivors = 0, config.supernet.finalists
    while survivors > 1:
        finalist_passes += survivors * config.supernet.finalist_epochs
        survivors = survivors // 2
    search = config.supernet.epochs * fit_images * supernet_work(config, largest_macs)
    trained = 1 + len(config.baselines)  # networks that learn from all training images
    passes = finalist_passes * fit_images + trained * config.train.epochs * train_images
    return search + passes * child_work(config)
