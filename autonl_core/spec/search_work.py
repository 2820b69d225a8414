"""How much work a search is by its description alone, and which searches compare: what some took says what others take.

Work is counted in image-MACs: forward passes of one image count the MACs of the network, training three times as much.
Coarser than the plan of a search that runs (`run/pace.py`): of the network that it starts from, only the least size is
known here, and the supernet of an algorithm is counted as two subnets of the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import harmonic_mean

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec.config import NO_INIT, OFF_THE_SHELF, UNIFORM, Baseline, SearchConfig
from autonl_core.spec.config_sections import SupernetConfig
from autonl_core.spec.feasibility import resolution_of
from autonl_core.spec.resolutions import TEACHER_SHARE
from autonl_core.spec.several_budgets import for_budget
from autonl_core.spec.space_families import spaces_made_for

_RANDOM, _RANDOM_OF_OTHERS = 8, 4  # scored for the comparison; the latter where the supernet is another search's
_ALWAYS_SCORED = 5  # the best by slopes, `uniform`, `widest`, the best by scores, its twin
CLASSIFIER_IMAGES = 10_000  # that the first classifier of a pretrained network is fitted to, at most
_SUBNETS = 2  # that learn from each image of the supernet's training
_TRAINING = 3  # forward, and twice that backward


@dataclass(frozen=True)
class SearchKind:
    """Searches of one kind do the same things, however often: their work compares."""

    is_pretrained: bool
    search_space: str
    algorithm: str

    def __str__(self) -> str:
        start = "pretrained" if self.is_pretrained else "random"
        return f"from {start} weights in space {self.search_space!r} by {self.algorithm!r}"


def kind_of(config: SearchConfig, dataset: DatasetSpec) -> SearchKind:
    """The kind of a settled search. Raises SpaceError if no space serves its resolution."""
    space = config.search_space or spaces_made_for(resolution_of(config, dataset))[0].name
    return SearchKind(config.init != NO_INIT, space, config.algorithm)


def scored_networks(supernet: SupernetConfig) -> int:
    """Networks that are scored on the shared weights before the final, if no two of them are equal."""
    proposed = supernet.candidates + supernet.generations * (supernet.candidates // 2)
    return proposed + random_networks(supernet) + _ALWAYS_SCORED


def random_networks(supernet: SupernetConfig) -> int:
    """Networks drawn without favour that are scored for the comparison."""
    return _RANDOM if supernet.epochs else _RANDOM_OF_OTHERS


def finalist_trainings(supernet: SupernetConfig) -> int:
    """Short trainings in all rounds of the final."""
    trainings, finalists = 0, supernet.finalists
    while finalists > 1:
        trainings += finalists
        finalists //= 2
    return trainings


def search_work(config: SearchConfig, dataset: DatasetSpec) -> float:
    """Image-MACs of one settled search with its baselines, without those for other budgets and its repeats."""
    return _Work(config, dataset.train_images).total


def requested_work(config: SearchConfig, dataset: DatasetSpec) -> float:
    """The same of everything that the request for a settled search starts: its other budgets, and all repeats."""
    others = (for_budget(config, "first", budget_macs) for budget_macs in config.other_budgets)
    return config.repeat * sum(search_work(each, dataset) for each in (config, *others))


def requested_searches(config: SearchConfig) -> int:
    """How many searches the request for a settled search starts, with its other budgets and repeats."""
    return config.repeat * (1 + len(config.other_budgets))


@dataclass(frozen=True)
class _Work:
    config: SearchConfig
    train_images: int

    @property
    def total(self) -> float:
        return self.search + sum(self.baseline(name) for name in self.config.baselines)

    @property
    def search(self) -> float:
        return self.teacher + self.searching + self.deriving + self.training

    @property
    def teacher(self) -> float:
        """The first classifier of the pretrained network and its training, unless an earlier search did it."""
        if self.config.init == NO_INIT or self.config.parent is not None:
            return 0.0
        passes = self.config.teacher.epochs * _TRAINING * self.fit_images + min(self.fit_images, CLASSIFIER_IMAGES)
        return passes * TEACHER_SHARE * self.config.flops_budget

    @property
    def searching(self) -> float:
        budget_macs = harmonic_mean(self.config.flops_budgets or (self.config.flops_budget,))
        per_image = _SUBNETS * _TRAINING * budget_macs + self.answer_macs
        return self.config.supernet.epochs * (per_image * self.fit_images + self.scoring)

    @property
    def deriving(self) -> float:
        supernet = self.config.supernet
        turn = supernet.finalist_epochs * self.fit_images * self.training_macs + self.scoring
        return scored_networks(supernet) * self.scoring + finalist_trainings(supernet) * turn

    @property
    def training(self) -> float:
        return self.config.train.epochs * self.train_images * self.training_macs

    def baseline(self, name: Baseline) -> float:
        """A published network trains as long as the chosen one; a rival for as much work as the search is."""
        if name == OFF_THE_SHELF:
            return self.search
        return self.search - self.teacher if name == UNIFORM else self.training

    @property
    def fit_images(self) -> int:
        """Images that fit weights during the search; the others validate."""
        return round(self.train_images * (1 - self.config.val_fraction))

    @property
    def scoring(self) -> float:
        """One network of the budget on the validation images."""
        return float(self.config.flops_budget * (self.train_images - self.fit_images))

    @property
    def answer_macs(self) -> float:
        """Of the teacher's answer for one image; 0: nothing learns from it."""
        taught = self.config.init != NO_INIT and self.config.teacher.weight > 0
        return TEACHER_SHARE * self.config.flops_budget if taught else 0.0

    @property
    def training_macs(self) -> float:
        """Of training a network of the budget with one image."""
        return _TRAINING * self.config.flops_budget + self.answer_macs
