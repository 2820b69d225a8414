"""How much work a search is, how much of it is done, and how long the rest takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from autonl_core.spec.config import SearchConfig
from autonl_core.supernet.learner import ALGORITHMS

_ENOUGH = 0.005  # of all work: after less, the speed is not known well enough for an estimate


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
        """Seconds to the end at the speed of this attempt; None until enough work is done to estimate."""
        worked = self.done - self.done_at_start
        if worked < _ENOUGH * self.total:
            return None
        return (time.monotonic() - self.started) * max(0.0, self.total - self.done) / worked

    def nearly_done(self, seconds: float) -> bool:
        """Whether at most so many seconds are left."""
        left_s = self.eta_s()
        return left_s is not None and left_s <= seconds

    def resume(self, done: float) -> None:
        """Go on from where an earlier attempt was; its speed does not count."""
        self.done = self.done_at_start = done


@dataclass(frozen=True)
class Teaching:
    """What a search from pretrained weights costs besides: MACs of an image in the teacher, and resolutions tried."""

    teacher_macs: int = 0
    resolutions: int = 1


NO_TEACHING = Teaching()


def training_work(config: SearchConfig, teacher_macs: int = 0) -> float:
    """Work of training one image in a network of the budget, in MACs: forward, and twice that backward.

    Args:
        teacher_macs: of the network whose answer the image is labelled with; 0: there is none.
    """
    return 3.0 * config.flops_budget + teacher_macs


def adapting_work(teacher_macs: int) -> float:
    """The same for the teacher itself."""
    return 3.0 * teacher_macs


def searching_work(config: SearchConfig, largest_macs: int, teacher_macs: int = 0) -> float:
    """The same for one image of the supernet's training, in a space whose largest network has `largest_macs`."""
    return ALGORITHMS.get(config.algorithm).macs_per_image(config, largest_macs) + teacher_macs


def planned_work(
    config: SearchConfig, largest_macs: int, fit_images: int, train_images: int, teaching: Teaching = NO_TEACHING
) -> float:
    """All work of a search in image-MACs, from the configuration alone."""
    teacher_macs = teaching.teacher_macs if config.teacher.weight else 0
    adapting = config.teacher.epochs * adapting_work(teaching.teacher_macs)
    if teaching.resolutions > 1:
        adapting += teaching.resolutions * training_work(config, teacher_macs)
    finalist_passes, finalists = 0, config.supernet.finalists
    while finalists > 1:
        finalist_passes += finalists * config.supernet.finalist_epochs
        finalists = finalists // 2
    search = config.supernet.epochs * fit_images * searching_work(config, largest_macs, teacher_macs)
    trained = 1 + len(config.baselines)  # networks that learn from all training images
    passes = finalist_passes * fit_images + trained * config.train.epochs * train_images
    return adapting * fit_images + search + passes * training_work(config, teacher_macs)
