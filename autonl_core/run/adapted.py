"""What a search that starts from pretrained weights has, once they are adapted to its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autonl_core.nn.importance import with_narrower_head
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.pretrained_start import ResolutionTrial


@dataclass(frozen=True)
class Adapted:
    """The fine-tuned network, which starts the supernet and teaches every other, and the resolution that was chosen.

    The network is in evaluation mode, its expanded channels ordered by importance; it sees images at its own
    resolution, which is usually higher. `head_channels`: width of the head that the result has; None: the teacher's.
    """

    teacher: Network
    resolution: int
    teacher_val_top1_pct: float | None = None
    trials: tuple[ResolutionTrial, ...] = ()  # of the resolutions to choose from
    head_channels: int | None = None

    @property
    def beginning(self) -> Network:
        """What the supernet starts from: the teacher, with the head that the result has."""
        if self.head_channels in (None, self.teacher.arch.head_channels):
            return self.teacher
        return with_narrower_head(self.teacher, self.head_channels)

    def to_state(self) -> Mapping[str, Any]:
        """Plain values and tensors, for a run state."""
        return {
            "arch": self.teacher.arch.to_json(),
            "weights": self.teacher.state_dict(),
            "resolution": self.resolution,
            "teacher_val_top1_pct": self.teacher_val_top1_pct,
            "trials": [vars(trial) for trial in self.trials],
            "head_channels": self.head_channels,
        }

    @staticmethod
    def from_state(state: Mapping[str, Any], device: torch.device) -> Adapted:
        return Adapted(
            network_of(ArchSpec.from_json(state["arch"]), state["weights"], device),
            state["resolution"],
            state.get("teacher_val_top1_pct"),
            tuple(ResolutionTrial(**trial) for trial in state.get("trials", ())),
            state.get("head_channels"),
        )


def network_of(arch: ArchSpec, weights: Mapping[str, Tensor], device: torch.device) -> Network:
    """A network in evaluation mode with these weights, on `device`."""
    network = build_network(arch)
    network.load_state_dict(dict(weights))
    return network.to(device).eval()
