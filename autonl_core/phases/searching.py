"""The phase `searching`: supernet weights and architecture parameters learn together."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from autonl_core.data.batches import random_stream
from autonl_core.errors import Diverged
from autonl_core.run.pace import supernet_work
from autonl_core.run.run_state import State
from autonl_core.run.search_run import BestSoFar, SearchRun
from autonl_core.supernet.budget import Floats
from autonl_core.supernet.gates import Choice
from autonl_core.supernet.learners import Learner, make_learner, most_likely
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.evaluate import Score, score
from autonl_core.training.optim import cosine_lr, set_lr, sgd
from autonl_core.training.trainer import MAX_LOST_STEPS

WEIGHT_DECAY = 1e-4
MOMENTUM = 0.9
MAX_GRADIENT_NORM = 5.0


class SupernetTraining:
    """The loop's parts and where it is; `position` is (epoch, step) of the next batch."""

    def __init__(self, run: SearchRun) -> None:
        self.run, self.settings = run, run.config.supernet
        self.supernet = Supernet(run.table, seed=run.config.seed).to(run.device)
        self.learner: Learner = make_learner(self.supernet, run.config)
        self.optimizer = sgd(self.supernet, lr=self.settings.lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
        extra = self.learner.extra_parameters()
        if extra:
            self.optimizer.add_param_group({"params": extra, "weight_decay": 0.0})
        self.steps = run.loader.steps(run.fit, self.settings.batch_size)
        self.position = (0, 0)
        self.lost_steps = 0
        self.losses: list[float] = []

    def run_epoch(self) -> None:
        """Weight steps on training batches, an alpha step on a validation batch every few of them."""
        run, (epoch, first_step) = self.run, self.position
        per_image = supernet_work(run.config, run.table.space.macs_range()[1])
        batch_size = self.settings.batch_size
        batches = run.loader.epoch(run.fit, "search", epoch, batch_size, first_step=first_step)
        for step, (x, y) in enumerate(batches, start=first_step):
            count = epoch * self.steps + step
            progress = count / (self.settings.epochs * self.steps)
            self._weight_step(x, y, count, progress)
            if self.learner.alpha_interval and count % self.learner.alpha_interval == 0:
                self._alpha_step(count, progress)
            self.position = (epoch, step + 1) if step + 1 < self.steps else (epoch + 1, 0)
            run.pace.done += per_image * len(y)
            run.tell("searching", epoch + 1, self.settings.epochs, step + 1, self.steps)
            run.stop_if_asked(self.state_dict)
            run.save_if_due(self.state_dict)

    def report(self) -> None:
        """Metrics of the epoch, and the architecture the search would derive if it ended now."""
        run, p = self.run, self.learner.probabilities()
        choice = most_likely(run.table, p, run.config.flops_budget)
        measured = score_choice(run, self.supernet, choice)
        arch = run.table.arch(choice)
        metrics = {
            "loss": float(np.mean(self.losses)) if self.losses else math.nan,
            "val_loss": measured.loss,
            "val_top1_pct": measured.top1_pct,
            "expected_macs": float(run.table.expected_macs(torch.from_numpy(p))),
            "derived_macs": float(run.table.macs(choice)),
            "gate_entropy": _entropy(p),
        }
        gates = {f"gate/{g.position}.{g.name}": float(v) for g, v in zip(run.table.gates, p, strict=True)}
        run.add_point("searching", self.position[0], metrics | self.learner.metrics() | gates)
        run.sink.architecture(run.record_of(arch, val_top1_pct=measured.top1_pct))
        self.losses = []

    def best_so_far(self) -> BestSoFar:
        """The architecture that would be derived if the search ended now, on its share of the supernet's weights."""
        probabilities = self.learner.probabilities()
        choice = most_likely(self.run.table, probabilities, self.run.config.flops_budget)
        return BestSoFar(self.supernet.derive(choice))

    def state_dict(self) -> State:
        return {
            "phase": "searching",
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learner": self.learner.state_dict(),
            "position": list(self.position),
            "losses": self.losses,
            "lost_steps": self.lost_steps,
        }

    def load_state_dict(self, state: State) -> None:
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learner.load_state_dict(state["learner"])
        self.position = (state["position"][0], state["position"][1])
        self.losses = list(state["losses"])
        self.lost_steps = state["lost_steps"]

    def _weight_step(self, x: torch.Tensor, y: torch.Tensor, count: int, progress: float) -> None:
        set_lr(self.optimizer, cosine_lr(count, self.settings.epochs * self.steps, self.steps // 2, self.settings.lr))

        def compute(parts: int) -> float:
            self.optimizer.zero_grad()
            rng = random_stream("gates", self.run.config.seed, count)
            return self.learner.weight_step(x, y, rng, progress, parts)

        loss = self.run.micro_batches.step(compute)
        if math.isfinite(loss):
            nn.utils.clip_grad_norm_(self.supernet.parameters(), MAX_GRADIENT_NORM)
            self.optimizer.step()
            self.losses.append(loss)
            self.lost_steps = 0
            return
        self.lost_steps += 1
        if self.lost_steps >= MAX_LOST_STEPS:
            raise Diverged(
                f"the supernet's loss was {loss} for {self.lost_steps} steps in a row; "
                f"lower supernet.lr ({self.settings.lr})"
            )

    def _alpha_step(self, count: int, progress: float) -> None:
        run = self.run
        steps = run.loader.steps(run.val, self.settings.batch_size)
        epoch, step = divmod(count // self.learner.alpha_interval, steps)
        x, y = run.loader.batch(run.val, "alpha", epoch, self.settings.batch_size, step)

        def compute(parts: int) -> float:
            rng = random_stream("alpha_gates", run.config.seed, count)
            return self.learner.alpha_step(x, y, rng, progress, parts)

        run.micro_batches.step(compute)


def train_supernet(run: SearchRun, state: State) -> State:
    """From a fresh or resumed supernet to the learned distribution. Returns the state that `deriving` starts from."""
    run.enter("searching")
    training = SupernetTraining(run)
    if "supernet" in state:
        training.load_state_dict(state)
        if training.position[1] == 0 and training.losses:  # stopped between an epoch's last step and its report
            training.report()
    run.best_so_far = training.best_so_far
    while training.position[0] < run.config.supernet.epochs:
        training.run_epoch()
        training.report()
        run.save(training.state_dict())
    run.leave("searching")
    return {
        "phase": "deriving",
        "supernet": training.supernet.state_dict(),
        "probabilities": training.learner.probabilities().tolist(),
    }


def score_choice(run: SearchRun, supernet: Supernet, choice: Choice) -> Score:
    """A network's validation score on the shared weights, batch norms on the statistics of each validation batch."""
    return score(lambda x: supernet.forward_choice(x, choice), run.loader.plain(run.val))


def _entropy(p: Floats) -> float:
    """Mean over gates in bits: 1 while undecided, 0 when every gate is certain."""
    q = np.clip(p, 1e-12, 1 - 1e-12)
    return float(np.mean(-(q * np.log2(q) + (1 - q) * np.log2(1 - q))))
