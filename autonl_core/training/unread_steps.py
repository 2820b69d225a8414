"""What training steps measured, left on their device until it is read.

A read waits for all that was queued on a GPU, which then idles while the host queues more. So whether a step is lost is
decided on the device (`optim.step_unless`, `WeightAverage.update`), and the host learns of it later.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autonl_core.training.lost_steps import LostSteps

READ_STEPS = 40  # between two reads


def waits_for_reads(device: torch.device) -> bool:
    """Whether the host computes ahead of `device`, so that a read waits; a CPU's numbers are there at once."""
    return device.type != "cpu"


class UnreadSteps:
    """Loss, and what else was measured, of steps that were not read yet: at most `READ_STEPS`, on a CPU one."""

    def __init__(self, device: torch.device, lost_steps: LostSteps) -> None:
        self._limit = READ_STEPS if waits_for_reads(device) else 1
        self._lost_steps = lost_steps
        self._waiting: list[tuple[Tensor, int]] = []

    def add(self, measured: Tensor, images: int) -> None:
        """One step: (n,) float64 on the device, the loss first."""
        self._waiting.append((measured, images))

    @property
    def due(self) -> bool:
        """Whether they have to be read now."""
        return len(self._waiting) >= self._limit

    def read(self) -> list[tuple[list[float], int]]:
        """What the waiting steps measured, in their order, without those that were lost.

        Raises:
            Diverged: too many in a row were.
        """
        if not self._waiting:
            return []
        images = [each for _, each in self._waiting]
        numbers: list[list[float]] = torch.stack([measured for measured, _ in self._waiting]).cpu().tolist()
        self._waiting.clear()
        return [
            (each, count) for each, count in zip(numbers, images, strict=True) if not self._lost_steps.skip(each[0])
        ]
