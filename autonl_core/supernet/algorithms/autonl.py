"""`autonl`, the default: gates sampled within the budget, alphas from the slopes of the validation loss.

Every gate opens with probability p = sigmoid(alpha). Weights learn on subnets sampled from p within the current MACs
band; two subnets share each batch, which makes their ranking reliable. Alphas learn on validation images that the
weights never see, from gates sampled 0 or 1 and folded into the full supernet:

    dE[L]/dp_i = E[L(g_i=1) - L(g_i=0)] ~ E[ L'(g_i) / (2 P(g_i)) ]        (trapezoid rule between the vertices)

A deterministic straight-through gate has no mean signal: where the weights are stationary, the slope at the open vertex
is zero. The slope at the closed vertex is where the information is, and sampling visits both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.supernet.budget import BandSampler, Floats, log_scores, project
from autonl_core.supernet.controller import BudgetController
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.learner import ALPHA_LIMIT, Algorithm
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.micro_batches import split
from autonl_core.training.optim import Adam

SUBNETS_PER_BATCH = 2
TRAINING_BAND = (0.85, 1.05)  # of B_k: subnets around the budget, wide enough to visit every option
START_SHARE = 0.25  # of the way, in ratios, from the budget to the largest network: there B_k starts
_NEARLY_OPEN = 1 - 1e-6
_OPEN_AT_START = {"present": 0.75, "kernel": 0.5, "light_nl": 0.1, "nl_ratio": 0.5, "nl_stride": 0.5}
_EXPANDED_AT_START = 0.65  # gates of expansions
_MEAN_EXCESS = 1.3  # of the MACs of sampled subnets over the budget, while B_k falls to it


class SampledGates:
    """Bernoulli gates, conditioned on the budget; see the module docstring."""

    alpha_interval = 4

    def __init__(self, supernet: Supernet, config: SearchConfig) -> None:
        self.supernet, self.table, self.settings = supernet, supernet.table, config.supernet
        self.alpha = _start(self.table, config).requires_grad_()
        self.optimizer = Adam([self.alpha], lr=config.supernet.alpha_lr, betas=(0.9, 0.99))
        largest = self.table.space.macs_range()[1]
        start = round(largest**START_SHARE * config.flops_budget ** (1 - START_SHARE))
        self.controller = BudgetController(start_macs=start, budget_macs=config.flops_budget)
        self._light_nl = np.array([gate.name == "light_nl" for gate in self.table.gates])
        self._sampler: BandSampler | None = None  # valid until alphas, warm-up or band change
        self._sampler_key: tuple[bool, int] | None = None

    def extra_parameters(self) -> list[nn.Parameter]:
        return []

    def probabilities(self) -> Floats:
        return torch.sigmoid(self.alpha.detach().double()).numpy()

    def metrics(self) -> dict[str, float]:
        return {"lambda": self.controller.multiplier}

    def weight_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: int = 1) -> float:
        total = 0.0
        for _ in range(SUBNETS_PER_BATCH):
            choice = self._sample(rng, progress)
            for part, labels, share in split(x, y, parts):
                loss = share * F.cross_entropy(self.supernet.forward_choice(part, choice), labels) / SUBNETS_PER_BATCH
                loss.backward()
                total += float(loss.detach())
        return total

    def alpha_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: int = 1) -> float:
        if progress < self.settings.warmup_fraction:
            return float("nan")
        p = torch.sigmoid(self.alpha.detach())
        vertex = torch.from_numpy(self.table.vertex_of(self._sample(rng, progress))).float()
        gates = vertex.clone().to(x.device).requires_grad_()
        total, slope = 0.0, torch.zeros_like(vertex, device=x.device)
        for part, labels, share in split(x, y, parts):
            loss = share * F.cross_entropy(self.supernet.forward_gated(part, gates), labels)
            slope += torch.autograd.grad(loss, gates)[0]
            total += float(loss.detach())
        if not (math.isfinite(total) and torch.isfinite(slope).all()):
            return math.nan  # the weights have diverged, and their own step says so
        other = torch.where(vertex > 0.5, 1 - p, p)  # probability of the setting that was not drawn
        self.alpha.grad = slope.cpu() * other / 2 + self._budget_gradient(p, progress)
        self.optimizer.step()
        with torch.no_grad():
            self.alpha.clamp_(-ALPHA_LIMIT, ALPHA_LIMIT)
        self._sampler = None
        return total

    def state_dict(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha.detach().clone(),
            "optimizer": self.optimizer.state_dict(),
            "multiplier": self.controller.multiplier,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.alpha.copy_(state["alpha"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.controller.multiplier = state["multiplier"]
        self._sampler = None

    def _budget_gradient(self, p: Tensor, progress: float) -> Tensor:
        """Gradient in alpha of the penalty on log F, taken at the hard architecture."""
        hard = (p > 0.5).double().requires_grad_()
        macs = self.table.expected_macs(hard)
        (slope,) = torch.autograd.grad(macs.log(), hard)
        return (self.controller.pressure(float(macs.detach()), self._ramp(progress)) * slope * p * (1 - p)).float()

    def _ramp(self, progress: float) -> float:
        return progress / self.settings.ramp_fraction

    def _sample(self, rng: np.random.Generator, progress: float) -> Choice:
        """A network from the learned distribution with MACs near B_k; LightNL always open during warm-up."""
        warming_up = progress < self.settings.warmup_fraction
        # B_k in steps of 1%, a function of `progress` alone: a resumed search must draw what an uninterrupted one draws
        excess = math.log(self.controller.target_macs(self._ramp(progress)) / self.controller.budget_macs)
        key = (warming_up, round(excess / math.log(1.01)))
        low, high = (round(share * self.controller.budget_macs * 1.01 ** key[1]) for share in TRAINING_BAND)
        if self._sampler is None or self._sampler_key != key:
            p = self.probabilities()
            p = np.where(self._light_nl, _NEARLY_OPEN, p) if warming_up else p
            self._sampler = BandSampler(self.table, self.table.option_probabilities(p), low, high)
            self._sampler_key = key
        choice = self._sampler.draw(rng)
        if choice is None:  # a band without networks: the space is coarse here, or the budget is its very end
            scores = log_scores(self._sampler.probabilities)
            smallest = self.table.space.macs_range()[0]
            choice = project(self.table, scores, low, max(high, smallest)).choice
        return choice


def _start(table: GateTable, config: SearchConfig) -> Tensor:
    """Alphas at the start, (gates,): undecided at random weights; from pretrained ones, near the network they are of.

    Of a trained network most layers and channels are worth keeping, and a LightNL that it does not have begins with
    nothing learned.
    """
    if config.init == NO_INIT:
        return torch.zeros(len(table.gates))
    opens = [_OPEN_AT_START.get(gate.name, _EXPANDED_AT_START) for gate in table.gates]
    return torch.tensor(opens).logit()


def _macs_per_image(config: SearchConfig, largest_macs: int) -> float:
    """Two subnets, forward and twice that backward, and the full supernet in every fourth step."""
    subnets = SUBNETS_PER_BATCH * _MEAN_EXCESS * 3.0 * config.flops_budget
    return subnets + 3.0 * largest_macs / SampledGates.alpha_interval


MEMBER = Algorithm("autonl", SampledGates, _macs_per_image)
