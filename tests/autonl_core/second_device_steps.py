"""Training steps on the second device: `python -m tests.autonl_core.second_device_steps` prints a line of JSON.

In a process of its own, since one that has differentiated anything can have no further device. Loads little else.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.decoding_report import DecodingReport
from autonl_core.data.pixels import ArrayPixels
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.nn.network import build_network
from autonl_core.spec.config_sections import TrainConfig
from autonl_core.spec.space_families import get_space
from autonl_core.training.parts import Part
from autonl_core.training.trainer import Trainer
from tests.autonl_core.second_device import DEVICE, NAME, counting_host_reads

IMAGES, BATCH = 160, 16
MOVING = Augmentation(flip=False, padding_px=1)

Training = TypeVar("Training")


@dataclass
class StepReads:
    """Training steps, and what the host read in these, by the line that did: reports and scores are no steps."""

    steps: int = 0
    by_line: Counter[str] = field(default_factory=Counter)

    def watching(self, run_epoch: Callable[[Training], Iterator[int]]) -> Callable[[Training], Iterator[int]]:
        """`run_epoch`, with the reads of its steps counted."""

        def run(training: Training) -> Iterator[int]:
            steps = run_epoch(training)
            while True:
                with counting_host_reads() as reads:
                    step = next(steps, None)
                self.by_line += reads.by_line
                if step is None:
                    return
                self.steps += 1
                yield step

        return run

    def to_json(self) -> dict[str, Any]:
        return {"steps": self.steps, "reads": self.by_line.total(), "by_line": dict(self.by_line)}


def images() -> PreparedData:
    """Dark and bright noise, two classes."""
    rng, labels = np.random.default_rng(0), np.arange(IMAGES) % 2
    pixels = rng.integers(0, 128, (IMAGES, 8, 8, 3)) + 127 * labels[:, None, None, None]
    chosen = ImageSet(ArrayPixels(pixels.astype(np.uint8)), labels, np.arange(IMAGES))
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    return PreparedData(chosen, chosen, mean, std, 8, DecodingReport(IMAGES, 0, (), mean, std, DEFAULT_LIMITS))


def train(device: str, losing: int | None = None) -> dict[str, Any]:
    """A small network learns for an epoch; `losing`: the step whose images are not numbers."""
    reads, data = StepReads(), images()
    network = build_network(get_space("tiny", 8, 2).smallest(), seed=1).to(device)
    loader = Loader(data, torch.device(device), 0, MOVING)
    recipe = TrainConfig(epochs=1, batch_size=BATCH, warmup_epochs=0, ema_decay=0.9, lr=0.05)
    trainer = Trainer(network, data.train, loader, recipe, "train", 1)
    with lost_at(losing):
        for _ in reads.watching(Trainer.run_epoch)(trainer):
            pass
    state = trainer.state_dict()["average"]
    return {
        **reads.to_json(),
        "images": trainer.epoch_images,
        "loss": trainer.epoch_loss / trainer.epoch_images,
        "averaged_steps": state["steps"],
        "average": [value.cpu().double().abs().mean().item() for value in state["values"]],
        "device": str(state["values"][0].device),
    }


def lost_at(step: int | None) -> AbstractContextManager[Any]:
    """Step `step` of all trainers meanwhile has images that are not numbers."""
    accumulate = Trainer._accumulate
    count = iter(range(10**9))

    def losing(trainer: Trainer, part: Part, micro_batches: int, number: int) -> Tensor:
        lost = replace(part, x=part.x * float("nan")) if next(count) == step else part
        return accumulate(trainer, lost, micro_batches, number)

    return mock.patch.object(Trainer, "_accumulate", losing)


def labels_stay() -> AbstractContextManager[Any]:
    """Labels of batches stay on the CPU meanwhile."""
    return mock.patch.object(Loader, "_mixed", lambda loader, x, labels, *_: (x, labels.cpu()))


def mix() -> dict[str, str]:
    """What the device says to a tensor of the CPU among its own."""
    mine, other = torch.ones(3, device=DEVICE), torch.ones(3)
    attempts: dict[str, Callable[[], object]] = {
        "sum": lambda: mine + other,
        "sum in place": lambda: mine.add_(other),
        "other way round": lambda: other.add_(mine),
        "index": lambda: mine[torch.zeros(2, dtype=torch.long)],
        "list": lambda: torch.cat([mine, other]),
    }
    return {name: said_by(attempt) for name, attempt in attempts.items()}


def said_by(attempt: Callable[[], object]) -> str:
    """The error of `attempt`; nothing if there is none."""
    try:
        attempt()
    except RuntimeError as error:
        return str(error)
    return ""


def main() -> dict[str, Any]:
    torch.set_num_threads(1)
    with labels_stay():
        planted = said_by(lambda: train(NAME))
    scalar, copied = (
        torch.ones(3, device=DEVICE) * torch.tensor(2.0),
        torch.zeros(3, device=DEVICE).copy_(torch.ones(3)),
    )
    return {
        "mixed": mix(),
        "allowed": [scalar.sum().item(), copied.sum().item()],
        "planted": planted,
        "there": train(NAME, losing=7),
        "here": train("cpu", losing=7),
    }


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(json.dumps(main()))
