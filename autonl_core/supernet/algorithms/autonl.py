"""`autonl`, the default: subnets and gates sampled within the budget, utilities from slopes of the validation loss.

Weights learn on subnets whose MACs are near the budget; two subnets share each batch, which makes their ranking
reliable. Gates are sampled 0 or 1 and folded into the full supernet, on validation images that the weights never see,
and the loss is differentiated in them. What opening a gate is worth is the mean of the two slopes, open and closed:

    E[L(g_i=0) - L(g_i=1)] ~ -E[ L'(g_i=0) + L'(g_i=1) ] / 2               (trapezoid rule between the vertices)

A deterministic straight-through gate has no mean signal: where the weights are stationary, the slope at the open vertex
is zero. The slope at the closed vertex is where the information is, and sampling visits both. Slopes are summed, so
there is no learning rate, and certainty is a matter of their number (`supernet/slopes.py`, `supernet/utilities.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.supernet.budget import BandSampler, Floats, band_within, log_scores, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.learner import LOG_ODDS_LIMIT, Algorithm
from autonl_core.supernet.limited_sampler import sampler_within
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.slopes import SlopeSums
from autonl_core.supernet.supernet import Supernet
from autonl_core.supernet.utilities import Utilities, gate_features, utilities_of
from autonl_core.training.micro_batches import split
from autonl_core.training.parts import BatchParts, Part
from autonl_core.training.precision import forward_in
from autonl_core.training.unread_steps import waits_for_reads

SUBNETS_PER_BATCH = 2
TRAINING_BAND = (0.85, 1.05)  # of the budget: wide enough to visit every option
_CONTRAST = 1.5  # log-odds of a gate that is worth as much as gates usually differ
_READ_SLOPES = 5  # slope steps between two reads, where a read has to wait for the device
_NEARLY_OPEN = 1 - 1e-6
_OPEN_AT_START = {"present": 0.75, "kernel": 0.5, "light_nl": 0.1, "nl_ratio": 0.5, "nl_stride": 0.5}
_EXPANDED_AT_START = 0.65  # gates of expansions


class SampledGates:
    """Gates sampled within the budget, the more likely open the more that is worth; see the module docstring."""

    slope_interval = 4

    def __init__(self, supernet: Supernet, config: SearchConfig) -> None:
        self.supernet, self.table, self.settings = supernet, supernet.table, config.supernet
        self.precision = config.precision
        self.start = _start(self.table, config)  # log-odds of gates before anything is known
        self.slopes, self.steps = SlopeSums(len(self.table.gates)), 0
        self._unread: list[tuple[Floats, Tensor]] = []  # vertices, and slopes (gates,) with the loss at the end
        self._read_slopes = _READ_SLOPES if waits_for_reads(supernet.classifier.weight.device) else 1
        self._features = gate_features(self.table)
        self._utilities: Utilities | None = None  # of the slopes so far
        self._budgets = _budgets_of(config)
        self._shares = (
            1 / np.array(self._budgets) / sum(1 / budget for budget in self._budgets)
        )  # the same MACs for each
        self._light_nl = np.array([gate.name == "light_nl" for gate in self.table.gates])
        self._samplers: dict[int, BandSampler] = {}  # by budget; valid until slopes are added, or the warm-up ends
        self._samplers_warm_up = False

    def extra_parameters(self) -> list[nn.Parameter]:
        return []

    @property
    def utilities(self) -> Utilities:
        """What options are worth by the slopes so far."""
        if self._utilities is None:
            self._utilities = utilities_of(self._features, *self.slopes.worth())
        return self._utilities

    def probabilities(self) -> Floats:
        self._add_unread()
        return self._likely()

    def _likely(self) -> Floats:
        """How likely gates are open by the slopes that were read: which those are follows from the step alone."""
        known = self.utilities
        usual = math.sqrt(float(np.mean(known.mean**2 + np.diag(known.covariance)))) or 1.0
        odds = np.clip(self.start + _CONTRAST * known.mean / usual, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)
        return np.asarray(1 / (1 + np.exp(-odds)))

    def metrics(self) -> dict[str, float]:
        return {"slope_agreement": self.slopes.agreement()}

    def weight_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: BatchParts) -> Tensor:
        choices = [self._sample(rng, progress) for _ in range(SUBNETS_PER_BATCH)]
        return parts.differentiate(x, y, lambda part, count: self._differentiate(part, choices, count))[0]

    def _differentiate(self, whole: Part, choices: Sequence[Choice], micro_batches: int) -> Tensor:
        """Add gradients of a part of a batch in all these subnets; (1,) float64, its share of their mean loss."""
        total = torch.zeros(1, dtype=torch.float64, device=whole.x.device)
        for choice in choices:
            for part, labels, share in split(whole.x, whole.labels, micro_batches):
                with forward_in(self.precision, part.device):
                    logits = self.supernet.forward_choice(part, choice).float()
                    loss = whole.share * share * F.cross_entropy(logits, labels) / SUBNETS_PER_BATCH
                loss.backward()
                total += loss.detach()
        return total

    def slope_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: BatchParts) -> None:
        if progress < self.settings.warmup_fraction:
            return
        vertex = self.table.vertex_of(self._sample(rng, progress), free_value=math.nan)
        gates = torch.from_numpy(np.nan_to_num(vertex)).float().to(x.device).requires_grad_()
        self._unread.append((vertex, parts.sum(x, y, lambda part, count: self._slopes(part, gates, count))))
        if len(self._unread) >= self._read_slopes:
            self._add_unread()

    def _slopes(self, whole: Part, gates: Tensor, micro_batches: int) -> Tensor:
        """Of a part of a batch: its share of the slopes and, at the end, of the loss, (gates + 1,) float64."""
        total, slope = torch.zeros(1, dtype=torch.float64, device=gates.device), torch.zeros_like(gates)
        for part, labels, share in split(whole.x, whole.labels, micro_batches):
            with forward_in(self.precision, part.device):
                logits = self.supernet.forward_gated(part, gates).float()
                loss = whole.share * share * F.cross_entropy(logits, labels)
            slope += torch.autograd.grad(loss, gates)[0]
            total += loss.detach()
        return torch.cat((slope.detach().double(), total))

    def _add_unread(self) -> None:
        """Read the slopes that are still on their device, and add them to the sums."""
        if not self._unread:
            return
        measured = torch.stack([slope for _, slope in self._unread]).cpu().numpy()  # (steps, gates + 1) float64
        for (vertex, _), numbers in zip(self._unread, measured, strict=True):
            if np.isfinite(numbers).all():  # else the weights have diverged, and their own step says so
                self.slopes.add(self.steps % 2, vertex, numbers[:-1])
                self.steps += 1
        self._unread.clear()
        self._utilities = None
        self._samplers.clear()

    def state_dict(self) -> dict[str, Any]:
        own = {"start": torch.from_numpy(self.start.copy()), "steps": self.steps, **self.slopes.state_dict()}
        unread = [(torch.from_numpy(vertex), slope) for vertex, slope in self._unread]
        return own | {"unread": unread} if unread else own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "alpha" in state:  # of a version that moved log-odds: they are where this one begins, with no slopes
            self.start = state["alpha"].double().cpu().numpy()
        else:
            self.start, self.steps = state["start"].cpu().numpy(), state["steps"]
            self.slopes.load_state_dict(state)
        device = self.supernet.classifier.weight.device
        self._unread = [(vertex.cpu().numpy(), slope.to(device)) for vertex, slope in state.get("unread", ())]
        self._utilities = None
        self._samplers.clear()

    def _sample(self, rng: np.random.Generator, progress: float) -> Choice:
        """A network with MACs near the budget, or near one of several; LightNL always open during warm-up."""
        warming_up = progress < self.settings.warmup_fraction
        if self._samplers_warm_up != warming_up:
            self._samplers.clear()
            self._samplers_warm_up = warming_up
        budget_macs = self._budgets[0] if len(self._budgets) == 1 else int(rng.choice(self._budgets, p=self._shares))
        low, high = _training_band(self.table, budget_macs)
        if budget_macs not in self._samplers:
            p = self._likely()
            p = np.where(self._light_nl, _NEARLY_OPEN, p) if warming_up else p
            self._samplers[budget_macs] = sampler_within(self.table, self.table.option_probabilities(p), low, high)
        sampler = self._samplers[budget_macs]
        choice = sampler.draw(rng)
        if choice is None:  # a band without networks: the space is coarse here, or the budget is its very end
            scores = log_scores(sampler.probabilities)
            choice = project(self.table, scores, low, max(high, self.table.macs_range()[0])).choice
        return choice


def _training_band(table: GateTable, budget_macs: int) -> tuple[int, int]:
    """The MACs of the subnets that learn: around the budget, or what other limits leave of it."""
    low, high, _ = band_within(table, budget_macs)
    if high < budget_macs:
        return low, high
    shares = TRAINING_BAND
    return round(shares[0] * budget_macs), round(shares[1] * budget_macs)


def _start(table: GateTable, config: SearchConfig) -> Floats:
    """Log-odds at the start, (gates,): undecided at random weights; from pretrained ones, near the network they are of.

    Of a trained network most layers and channels are worth keeping, and a LightNL that it does not have begins with
    nothing learned.
    """
    if config.init == NO_INIT:
        return np.zeros(len(table.gates))
    opens = np.array([_OPEN_AT_START.get(gate.name, _EXPANDED_AT_START) for gate in table.gates])
    return np.log(opens / (1 - opens))


def _budgets_of(config: SearchConfig) -> tuple[int, ...]:
    """Those that the shared weights learn for."""
    return config.flops_budgets or (config.flops_budget,)


def _macs_per_image(config: SearchConfig, largest_macs: int) -> float:
    """Two subnets, forward and twice that backward, and the full supernet in every fourth step."""
    budgets = _budgets_of(config)
    subnets = SUBNETS_PER_BATCH * 3.0 * len(budgets) / sum(1 / budget for budget in budgets)
    return subnets + 3.0 * largest_macs / SampledGates.slope_interval


MEMBER = Algorithm("autonl", SampledGates, _macs_per_image)
