"""How much work a search is, how much of it is done, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from autonl_core.spec.config import OFF_THE_SHELF, UNIFORM, Baseline, SearchConfig
from autonl_core.spec.progress import Phase
from autonl_core.spec.search_work import CLASSIFIER_IMAGES, finalist_trainings, scored_networks
from autonl_core.supernet.learner import ALGORITHMS

# Evaluating and exporting take about 25 s, whatever the work before was; a CPU does some 5 billion MACs a second.
_ENDING_MACS = 25 * 5e9
_LEAST_ENDING, _MOST_ENDING = 0.02, 0.25  # of the fraction
_ENOUGH = 0.005  # of all work: after less, the speed is not known well enough for an estimate


@dataclass
class Pace:
    """How far a search is. `work` is counted in image-MACs, by phase, and `done` of all of it.

    `ended` is the share of what follows and is not counted as work, from 0 to 1.
    """

    work: Mapping[Phase, float]
    done: float = 0.0
    done_at_start: float = 0.0
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.work.values())

    @property
    def fraction(self) -> float:
        worked = min(1.0, self.done / self.total) if self.total else 0.0
        ending = min(_MOST_ENDING, max(_LEAST_ENDING, _ENDING_MACS / (_ENDING_MACS + self.total)))
        return min(0.999, (1 - ending) * worked + ending * self.ended)

    def eta_s(self) -> float | None:
        """Seconds to the end of the work at the speed of this attempt; None until enough is done to estimate."""
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
    """What a search from pretrained weights costs besides.

    Args:
        teacher_macs: of an image in the teacher.
        teacher_is_ready: an earlier search trained it.
        resolutions: that are tried.
        whole_macs: of an image in the whole network at the resolution that the budget allows; 0: it allows none, or
            no baseline needs it.
    """

    teacher_macs: int = 0
    teacher_is_ready: bool = False
    resolutions: int = 1
    whole_macs: int = 0


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


def begun_work(teacher_macs: int, images: int) -> float:
    """Work of fitting the teacher's first classifier to its features of so many images, all of them."""
    return float(teacher_macs * min(images, CLASSIFIER_IMAGES))


def searching_work(config: SearchConfig, largest_macs: int, teacher_macs: int = 0) -> float:
    """The same for one image of the supernet's training, in a space whose largest network has `largest_macs`."""
    return ALGORITHMS.get(config.algorithm).macs_per_image(config, largest_macs) + teacher_macs


@dataclass(frozen=True)
class BaselineTraining:
    """How much a baseline trains: passes over the training images, and image-MACs of one image in them.

    `work_before` is what it is given: the training of the teacher that it comes from.
    """

    epochs: int
    work_per_image: float
    work_before: float = 0.0


@dataclass(frozen=True)
class WorkPlan:
    """All work of a search in image-MACs, from its configuration and the sizes of its dataset alone."""

    config: SearchConfig
    largest_macs: int  # of the search space
    fit_images: int  # that fit weights during the search
    train_images: int
    teaching: Teaching = NO_TEACHING
    freed_epochs: int = 0  # of a final that was not held, for the training of the chosen network

    @property
    def total(self) -> float:
        """The search, and the training of its baselines."""
        return sum(self.by_phase.values())

    @property
    def by_phase(self) -> Mapping[Phase, float]:
        """The same by phase; what is left out is not counted as work."""
        trainings = [self.baseline(name) for name in self.config.baselines]
        baselines = self.train_images * sum(each.epochs * each.work_per_image for each in trainings)
        return self._search_by_phase | {"training": self._search_by_phase["training"] + baselines}

    @property
    def training_epochs(self) -> int:
        """Passes over all training images by the chosen network."""
        return self.config.train.epochs + self.freed_epochs

    @property
    def search(self) -> float:
        """What leads to the chosen network and trains it, without any baseline."""
        return sum(self._search_by_phase.values())

    @property
    def _search_by_phase(self) -> dict[Phase, float]:
        config = self.config
        trials = self._training_work * self.teaching.resolutions if self.teaching.resolutions > 1 else 0.0
        shared = config.supernet.epochs * searching_work(config, self.largest_macs, self._teacher_macs)
        return {
            "adapting": self._teacher + trials * self.fit_images,
            "searching": shared * self.fit_images + config.supernet.epochs * self.scoring_work,
            "deriving": self.candidates * self.scoring_work + (0.0 if self.freed_epochs else self.final),
            "training": self.training_epochs * self.train_images * self._training_work,
        }

    def without_final(self) -> WorkPlan:
        """The same with the work of the final in the training of the chosen network, in whole passes and no more."""
        return replace(self, freed_epochs=int(self.final / (self.train_images * self._training_work)))

    @property
    def candidates(self) -> int:
        """Networks that are scored on the shared weights before the final, if no two of them are equal."""
        return scored_networks(self.config.supernet)

    @property
    def scoring_work(self) -> float:
        """Work of scoring one network of the budget on the validation images."""
        return float(self.config.flops_budget * (self.train_images - self.fit_images))

    @property
    def final(self) -> float:
        """The short trainings of the finalists, and their scores, if there is a final."""
        passes = self.config.supernet.finalist_epochs * self.fit_images
        return finalist_trainings(self.config.supernet) * (passes * self._training_work + self.scoring_work)

    def baseline(self, name: Baseline) -> BaselineTraining:
        """A published network trains as long as the chosen one; a rival for as much work as the whole search."""
        if name == OFF_THE_SHELF:
            per_image = adapting_work(self.teaching.whole_macs)
            return BaselineTraining(self._epochs_of(self.search, per_image), per_image)
        if name == UNIFORM:
            epochs = self._epochs_of(self.search - self._teacher, self._training_work)
            return BaselineTraining(epochs, self._training_work, self._teacher)
        return BaselineTraining(self.training_epochs, self._training_work)

    def share_of(self, name: Baseline) -> float:
        """What a baseline takes, as a share of what the search does."""
        training = self.baseline(name)
        own = training.epochs * self.train_images * training.work_per_image
        return (own + training.work_before) / self.search

    def _epochs_of(self, work: float, per_image: float) -> int:
        """As many whole passes as come closest to `work`."""
        return max(1, round(work / (per_image * self.train_images))) if per_image else 0

    @property
    def _teacher_macs(self) -> int:
        return self.teaching.teacher_macs if self.config.teacher.weight else 0

    @property
    def _training_work(self) -> float:
        return training_work(self.config, self._teacher_macs)

    @property
    def _teacher(self) -> float:
        """The training of the teacher."""
        if self.teaching.teacher_is_ready:
            return 0.0
        macs, images = self.teaching.teacher_macs, self.fit_images
        return self.config.teacher.epochs * adapting_work(macs) * images + begun_work(macs, images)
