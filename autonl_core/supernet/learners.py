"""The two algorithms that learn which gates to open.

`SampledGates` ("autonl", the default). Every gate opens with probability p = sigmoid(alpha). Weights learn on networks
sampled from p within the current MACs band; two children share each batch, which makes their ranking reliable. Alphas
learn on validation images the weights never see, from gates sampled 0 or 1 and folded into the full supernet:

    dE[L]/dp_i = E[L(g_i=1) - L(g_i=0)] ~ E[ L'(g_i) / (2 P(g_i)) ]        (trapezoid rule between the vertices)

A deterministic straight-through gate has no mean signal: where the weights are stationary, the slope at the open vertex
is zero. The slope at the closed vertex is where the information is, and sampling visits both.

`NormGates` ("autonl-paper"). The gate of the paper: open while a norm of the gated weights exceeds a trainable
threshold, with the sigmoid's gradient; one loss, CE + lambda log(MACs), with lambda fixed by hand. Kept for fidelity:
norms in front of a batch norm carry no information about use, and a fixed lambda does not land on a budget, so the
result is still projected.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.spec.config import SearchConfig
from autonl_core.supernet.budget import BandSampler, BudgetController, Floats, band, log_scores, project
from autonl_core.supernet.gates import Choice, Gate, GateTable
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.micro_batches import split

CHILDREN_PER_BATCH = 2
ALPHA_LIMIT = 4.0  # keeps every option possible: the least likely setting of a gate has probability .018
TRAINING_BAND = (0.85, 1.05)  # of B_k: children around the budget, wide enough to visit every option
START_SHARE = 0.25  # of the way, in ratios, from the budget to the largest network: there B_k starts
_NEARLY_OPEN = 1 - 1e-6


class Learner(Protocol):
    """What the supernet's training loop needs of an algorithm.

    `progress` is the share of the search done, 0 to 1; `parts`, how many a batch is computed in (`memory.py`).
    """

    alpha_interval: int  # weight steps per alpha step; 0: alphas learn in the weight step itself

    def extra_parameters(self) -> list[nn.Parameter]:
        """Parameters to be trained together with the weights."""

    def weight_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: int = 1) -> float:
        """Add gradients of the weights for one training batch; returns the cross-entropy."""

    def alpha_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: int = 1) -> float:
        """Move the alphas on one validation batch; returns the cross-entropy."""

    def probabilities(self) -> Floats:
        """How likely every gate is open, (gates,)."""

    def metrics(self) -> dict[str, float]:
        """What else is worth a point in the time series."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class SampledGates:
    """Bernoulli gates, conditioned on the budget; see the module docstring."""

    alpha_interval = 4

    def __init__(self, supernet: Supernet, config: SearchConfig) -> None:
        self.supernet, self.table, self.settings = supernet, supernet.table, config.supernet
        self.alpha = torch.zeros(len(self.table.gates), requires_grad=True)
        self.optimizer = torch.optim.Adam([self.alpha], lr=config.supernet.alpha_lr, betas=(0.9, 0.99))
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
        for _ in range(CHILDREN_PER_BATCH):
            choice = self._sample(rng, progress)
            for some, labels, share in split(x, y, parts):
                loss = share * F.cross_entropy(self.supernet.forward_choice(some, choice), labels) / CHILDREN_PER_BATCH
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
        for some, labels, share in split(x, y, parts):
            loss = share * F.cross_entropy(self.supernet.forward_gated(some, gates), labels)
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


class NormGates:
    """Norm thresholds with the sigmoid's gradient and a fixed lambda; see the module docstring."""

    alpha_interval = 0

    def __init__(self, supernet: Supernet, config: SearchConfig) -> None:
        self.supernet, self.table, self.config = supernet, supernet.table, config
        for block in supernet.super_blocks():
            block.measures_energy = True
        self.threshold = nn.Parameter(torch.zeros(len(self.table.gates)))
        self.scale = torch.ones(len(self.table.gates))
        self.measured = False

    def extra_parameters(self) -> list[nn.Parameter]:
        return [self.threshold]

    def probabilities(self) -> Floats:
        with torch.no_grad():
            margin = (self._norms().cpu() - self.threshold) / self.scale
        return torch.sigmoid(margin.double().clamp(-ALPHA_LIMIT, ALPHA_LIMIT)).numpy()

    def metrics(self) -> dict[str, float]:
        return {"lambda": self.config.supernet.paper_lambda}

    def weight_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: int = 1) -> float:
        if not self.measured:
            self._begin_open(split(x, y, parts)[0][0])
        total = 0.0
        for some, labels, share in split(x, y, parts):
            gates = self._gates(progress, x.device)
            loss = share * F.cross_entropy(self.supernet.forward_gated(some, gates), labels)
            penalty = share * self.config.supernet.paper_lambda * self.table.expected_macs(gates.cpu()).log()
            (loss + penalty.to(loss)).backward()
            total += float(loss.detach())
        return total

    def _gates(self, progress: float, device: torch.device) -> Tensor:
        """The hard gates, with the gradient of soft ones; all open while warming up."""
        if progress < self.config.supernet.warmup_fraction:
            return torch.ones(len(self.table.gates), device=device)
        soft = torch.sigmoid((self._norms() - self.threshold.to(device)) / self.scale.to(device))
        return (soft > 0.5).float() + soft - soft.detach()  # the indicator, with the sigmoid's gradient

    def alpha_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: int = 1) -> float:
        raise AssertionError("the paper's thresholds learn in the weight step")

    def state_dict(self) -> dict[str, Any]:
        energies = [dict(block.affinity_energy) for block in self.supernet.super_blocks()]
        return {
            "threshold": self.threshold.detach().clone(),
            "scale": self.scale,
            "energies": energies,
            "measured": self.measured,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.threshold.copy_(state["threshold"])
        self.scale = state["scale"].cpu()
        self.measured = state["measured"]
        for block, energies in zip(self.supernet.super_blocks(), state["energies"], strict=True):
            block.affinity_energy = dict(energies)

    @torch.no_grad()
    def _begin_open(self, x: Tensor) -> None:
        """Thresholds at half of the first norms: all gates begin open. Affinities need a first pass for that."""
        self.supernet.forward_gated(x, torch.ones(len(self.table.gates), device=x.device))
        self.threshold.copy_(0.5 * self._norms().cpu())
        self.scale = self.threshold.detach().clone().clamp_min(1e-12)
        self.measured = True

    def _norms(self) -> Tensor:
        return torch.stack([self._norm(gate) for gate in self.table.gates])

    def _norm(self, gate: Gate) -> Tensor:
        """The mean square that speaks for `gate`: of the weights it guards, or of what it adds to the affinity."""
        super_block = self.supernet.super_blocks()[gate.position]
        block = super_block.block
        if gate.name == "kernel":
            return (block.depthwise.conv.weight * (1 - super_block.core)).square().mean()
        if gate.name == "expand":
            return block.project.conv.weight[:, super_block.small_expanded :].square().mean()
        if gate.name == "present":
            return block.project.norm.weight.square().mean()
        assert block.light_nl is not None
        if gate.name == "light_nl":
            return block.light_nl.depthwise.weight.square().mean()
        one = block.light_nl.depthwise.weight.new_ones(())
        return super_block.affinity_energy.get(gate.name, one)


def make_learner(supernet: Supernet, config: SearchConfig) -> Learner:
    return SampledGates(supernet, config) if config.algorithm == "autonl" else NormGates(supernet, config)


def most_likely(table: GateTable, p: Floats, budget_macs: int) -> Choice:
    """The most likely network within the budget: the derived architecture if the search ended now."""
    return project(table, log_scores(table.option_probabilities(p)), *band(budget_macs)).choice
