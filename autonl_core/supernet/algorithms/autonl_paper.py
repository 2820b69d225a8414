"""`autonl-paper`: the gates of the paper (CVPR 2020, section 3.2), kept for fidelity.

A gate is open while a norm of the weights that it guards exceeds a trainable threshold, with the sigmoid's gradient;
there is one loss, CE + lambda log(MACs), with lambda fixed by hand. Norms in front of a batch norm carry no information
about use, and a fixed lambda does not land on a budget, so the result is still projected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.spec.config import SearchConfig
from autonl_core.supernet.budget import Floats
from autonl_core.supernet.gates import Gate
from autonl_core.supernet.learner import LOG_ODDS_LIMIT, Algorithm
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.micro_batches import split
from autonl_core.training.parts import BatchParts, Part
from autonl_core.training.precision import forward_in


class NormGates:
    """Norm thresholds with the sigmoid's gradient and a fixed lambda; see the module docstring."""

    slope_interval = 0

    def __init__(self, supernet: Supernet, config: SearchConfig) -> None:
        self.supernet, self.table, self.config = supernet, supernet.table, config
        self._energies: list[dict[str, Tensor]] = [{} for _ in supernet.super_blocks()]  # of affinities, by position
        device = supernet.classifier.weight.device
        self.threshold = nn.Parameter(torch.zeros(len(self.table.gates), device=device))
        self.scale = torch.ones(len(self.table.gates), device=device)
        self.measured = False

    def extra_parameters(self) -> list[nn.Parameter]:
        return [self.threshold]

    def probabilities(self) -> Floats:
        with torch.no_grad():
            margin = ((self._norms() - self.threshold) / self.scale).cpu()
        return torch.sigmoid(margin.double().clamp(-LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)).numpy()

    def metrics(self) -> dict[str, float]:
        return {"lambda": self.config.supernet.paper_lambda}

    def weight_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: BatchParts) -> Tensor:
        def differentiate(part: Part, micro_batches: int) -> Tensor:
            return self._differentiate(part, progress, micro_batches)

        if not self.measured:
            first = parts.first(x, y)
            parts.micro_batches.step(lambda count: self._begin_open(split(first, first, count)[0][0]))
        return parts.differentiate(x, y, differentiate, self._kept_energies)[0]

    def _differentiate(self, whole: Part, progress: float, micro_batches: int) -> Tensor:
        """Add gradients of a part of a batch; (1,) float64, its share of the cross-entropy."""
        total = torch.zeros(1, dtype=torch.float64, device=whole.x.device)
        for part, labels, share in split(whole.x, whole.labels, micro_batches):
            gates = self._gates(progress, part.device)
            with forward_in(self.config.precision, part.device):
                logits = self.supernet.forward_gated(part, gates, self._keep_energy).float()
                loss = whole.share * share * F.cross_entropy(logits, labels)
            penalty = self.config.supernet.paper_lambda * self.table.expected_macs(gates).log()
            (loss + (whole.share * share * penalty).to(loss)).backward()
            total += loss.detach()
        return total

    def _kept_energies(self) -> list[Tensor]:
        return [energy for energies in self._energies for energy in energies.values()]

    def _gates(self, progress: float, device: torch.device) -> Tensor:
        """The hard gates, with the gradient of soft ones; all open while warming up."""
        if progress < self.config.supernet.warmup_fraction:
            return torch.ones(len(self.table.gates), device=device)
        soft = torch.sigmoid((self._norms() - self.threshold) / self.scale)
        return (soft > 0.5).float() + soft - soft.detach()  # the indicator, with the sigmoid's gradient

    def slope_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: BatchParts) -> None:
        raise AssertionError("the paper's thresholds learn in the weight step")

    def state_dict(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold.detach().clone(),
            "scale": self.scale,
            "energies": [dict(energies) for energies in self._energies],
            "measured": self.measured,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.threshold.copy_(state["threshold"])
        device = self.threshold.device
        self.scale = state["scale"].to(device)
        self.measured = state["measured"]
        self._energies = [{name: value.to(device) for name, value in kept.items()} for kept in state["energies"]]

    @torch.no_grad()
    def _begin_open(self, x: Tensor) -> None:
        """Thresholds at half of the first norms: all gates begin open. Affinities need a first pass for that."""
        self.supernet.forward_gated(x, torch.ones(len(self.table.gates), device=x.device), self._keep_energy)
        self.threshold.copy_(0.5 * self._norms())
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
        if gate.name in super_block.widths:
            return block.project.conv.weight[:, super_block.widths[gate.name]].square().mean()
        if gate.name == "present":
            return block.project.norm.weight.square().mean()
        assert block.light_nl is not None
        if gate.name == "light_nl":
            return block.light_nl.depthwise.weight.square().mean()
        one = block.light_nl.depthwise.weight.new_ones(())
        return self._energies[gate.position].get(gate.name, one)

    def _keep_energy(self, gate: Gate, affinity: Tensor) -> None:
        """Keep the mean square of what `gate` adds to LightNL's affinity."""
        self._energies[gate.position][gate.name] = affinity.float().square().mean()


def _macs_per_image(config: SearchConfig, largest_macs: int) -> float:
    """The full supernet, forward and twice that backward."""
    return 3.0 * largest_macs


MEMBER = Algorithm("autonl-paper", NormGates, _macs_per_image)
