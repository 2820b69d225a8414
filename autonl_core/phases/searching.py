"""The phase `searching`: the shared weights learn, and which gates are worth opening."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from autonl_core.data.batches import random_stream
from autonl_core.phases.states import LearnedGates, SearchingState
from autonl_core.run.epochs import run_epochs
from autonl_core.run.pace import searching_work
from autonl_core.run.reporter import BestSoFar
from autonl_core.run.search_run import SearchRun
from autonl_core.supernet.budget import Floats
from autonl_core.supernet.learner import ALGORITHMS, Learner
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.start import started_supernet
from autonl_core.supernet.supernet import Supernet
from autonl_core.supernet.utilities import best_within
from autonl_core.training.evaluate import Marks, Score, score
from autonl_core.training.lost_steps import LostSteps
from autonl_core.training.optim import cosine_lr, lost, make_optimizer, set_lr, step_unless
from autonl_core.training.unread_steps import UnreadSteps

WEIGHT_DECAY = 1e-4
MOMENTUM = 0.9
MAX_GRADIENT_NORM = 5.0


def train_supernet(run: SearchRun, state: SearchingState | None) -> LearnedGates:
    """From a fresh supernet, or the one of `state`, to the learned distribution over networks.

    A search that goes on from another one may take its supernet and its distribution as they are.
    """
    training = SupernetTraining(run)
    if state is not None:
        training.load_state(state)
    with run.phase("searching", best=training.best_so_far):
        images = len(run.fit)
        run_epochs(
            run,
            training,
            training.state,
            work_per_epoch=images * searching_work(run.config, run.table.space.macs_range()[1], run.teacher_macs),
            report=training.report,
        )
        learned = training.learned()
        run.keep_supernet(learned.supernet, learned.probabilities)
    return learned


class SupernetTraining:
    """The training of a supernet and of an algorithm's gates; `position` is (epoch, step) of the next batch."""

    def __init__(self, run: SearchRun) -> None:
        self.run, self.settings = run, run.config.supernet
        self.supernet = make_supernet(run)
        algorithm = ALGORITHMS.get(run.config.algorithm)
        self.learner: Learner = algorithm.make_learner(self.supernet, run.config)
        self.optimizer = make_optimizer(
            self.supernet, self.settings.optimizer, lr=self.settings.lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )
        extra = self.learner.extra_parameters()
        if extra:
            self.optimizer.add_param_group({"params": extra, "weight_decay": 0.0})
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.parts = replace(run.parts, parameters=trained)
        self.epochs = self.settings.epochs
        self.steps = run.loader.steps(run.fit, self.settings.batch_size)
        self.position = (0, 0)
        self.lost_steps = LostSteps("the supernet's loss", f"lower supernet.lr ({self.settings.lr})")
        self._unread = UnreadSteps(run.device, self.lost_steps)
        self.losses: list[float] = []

    @property
    def finished(self) -> bool:
        return self.position[0] >= self.epochs

    @property
    def unreported(self) -> bool:
        return self.position[1] == 0 and bool(self.losses)

    def run_epoch(self) -> Iterator[int]:
        """Weight steps on training batches, with a slope step on a validation batch every few of them."""
        run, (epoch, first_step) = self.run, self.position
        interval = self.learner.slope_interval
        batches = run.loader.epoch(run.fit, "search", epoch, self.settings.batch_size, first_step=first_step)
        for step, (x, y) in enumerate(batches, start=first_step):
            count = epoch * self.steps + step
            progress = count / (self.epochs * self.steps)
            self._weight_step(x, y, count, progress)
            if interval and count % interval == 0:
                self._slope_step(count, progress)
            self.position = (epoch, step + 1) if step + 1 < self.steps else (epoch + 1, 0)
            if self._unread.due or step + 1 == self.steps:
                self._read()
            yield step

    def report(self) -> None:
        """Report the metrics of the epoch, and the architecture that would be derived if the search ended now."""
        run, p = self.run, self.learner.probabilities()
        choice = best_within(run.table, p, run.config.flops_budget)
        measured = score_choice(run, self.supernet, choice)
        run.reporter.add_work(run.plan.scoring_work)
        metrics = {
            "loss": float(np.mean(self.losses)) if self.losses else math.nan,
            "val_loss": measured.loss,
            "val_top1_pct": measured.top1_pct,
            "expected_macs": float(run.table.expected_macs(torch.from_numpy(p))),
            "derived_macs": float(run.table.macs(choice)),
            "gate_entropy": _entropy(p),
        }
        gates = {f"gate/{g.position}.{g.name}": float(v) for g, v in zip(run.table.gates, p, strict=True)}
        run.reporter.add_point(self.position[0], metrics | self.learner.metrics() | gates)
        record = run.record_of(run.table.arch(choice), val_top1_pct=measured.top1_pct)
        run.reporter.architecture(record, run.table.place_of(choice, self.position[0]))
        self.losses = []

    def best_so_far(self) -> BestSoFar:
        """The architecture that would be derived if the search ended now, on its share of the supernet's weights."""
        probabilities = self.learner.probabilities()
        choice = best_within(self.run.table, probabilities, self.run.config.flops_budget)
        return BestSoFar(self.supernet.derive(choice))

    def learned(self) -> LearnedGates:
        """What deriving needs. Without an epoch of its own, gates are as likely as the earlier search left them."""
        p = tuple(self.learner.probabilities().tolist())
        if self.epochs == 0 and self.run.parent is not None:
            p = self.run.parent.probabilities(self.run.table) or p
        return LearnedGates(self.supernet.state_dict(), p)

    def state(self) -> SearchingState:
        """All that is needed to go on from here."""
        self._read()
        return SearchingState(
            supernet=self.supernet.state_dict(),
            optimizer=self.optimizer.state_dict(),
            learner=self.learner.state_dict(),
            position=self.position,
            losses=tuple(self.losses),
            lost_steps=self.lost_steps.in_a_row,
        )

    def load_state(self, state: SearchingState) -> None:
        self.supernet.load_state_dict(state.supernet)
        self.optimizer.load_state_dict(dict(state.optimizer))
        self.learner.load_state_dict(dict(state.learner))
        self.position = state.position
        self.losses = list(state.losses)
        self.lost_steps.in_a_row = state.lost_steps

    def _weight_step(self, x: Tensor, y: Tensor, count: int, progress: float) -> None:
        """One step on images x (B, 3, R, R) and labels y (B,); `count` steps were made before."""
        set_lr(self.optimizer, cosine_lr(count, self.epochs * self.steps, self.steps // 2, self.settings.lr))
        self.optimizer.zero_grad()
        rng = random_stream("gates", self.run.config.seed, count)
        measured = self.learner.weight_step(x, y, rng, progress, self.parts)
        loss = torch.as_tensor(measured, dtype=torch.float64, device=x.device)
        nn.utils.clip_grad_norm_(self.supernet.parameters(), MAX_GRADIENT_NORM)
        step_unless(lost(loss), self.optimizer)
        self._unread.add(loss.view(1), len(y))

    def _read(self) -> None:
        """Add the losses of the steps since the last read to those of the epoch."""
        self.losses += [loss for (loss,), _ in self._unread.read()]

    def _slope_step(self, count: int, progress: float) -> None:
        run = self.run
        steps = run.loader.steps(run.val, self.settings.batch_size)
        epoch, step = divmod(count // self.learner.slope_interval, steps)
        x, y = run.loader.batch(run.val, "slopes", epoch, self.settings.batch_size, step)
        rng = random_stream("slope_gates", run.config.seed, count)
        self.learner.slope_step(x, y, rng, progress, self.parts)


def make_supernet(run: SearchRun) -> Supernet:
    """A supernet with the weights of an earlier search, with those of the adapted network, or with random ones."""
    seed, adapted = run.config.seed, run.adapted
    supernet = started_supernet(run.table, adapted.beginning, seed) if adapted else Supernet(run.table, seed=seed)
    if run.parent is not None:
        run.parent.start(supernet)
    return supernet.to(run.device)


def score_choice(run: SearchRun, supernet: Supernet, choice: Choice, marks: Marks | None = None) -> Score:
    """A network's validation score on the shared weights, batch norms on the statistics of each validation batch."""
    batches = run.loader.plain(run.val)
    return score(lambda x: supernet.forward_choice(x, choice), batches, marks, run.ranks)


def _entropy(p: Floats) -> float:
    """Mean over gates in bits: 1 while undecided, 0 when every gate is certain."""
    q = np.clip(p, 1e-12, 1 - 1e-12)
    return float(np.mean(-(q * np.log2(q) + (1 - q) * np.log2(1 - q))))
