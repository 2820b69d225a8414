"""Training one network: a cosine schedule, label smoothing, an average of the weights. Resumable at every step."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from autonl_core.data.batches import BatchSource, Stream, random_stream
from autonl_core.data.prepare import ImageSet
from autonl_core.nn.network import Network
from autonl_core.spec.config_sections import Precision, TrainConfig
from autonl_core.training.adopt_statistics import STATISTICS_IMAGES, adopt_statistics
from autonl_core.training.evaluate import RECALIBRATION_IMAGES, recalibrate_batch_norm
from autonl_core.training.lost_steps import LostSteps
from autonl_core.training.micro_batches import split
from autonl_core.training.optim import (
    WeightAverage,
    cosine_lr,
    lost,
    make_optimizer,
    set_lr,
    step_unless,
    stepped_lr,
)
from autonl_core.training.parts import BatchParts, Part
from autonl_core.training.precision import forward_in
from autonl_core.training.unread_steps import UnreadSteps


class Trainer:
    """Trains `network` on `images` for `epochs`; `position` is (epoch, step) of the next batch."""

    def __init__(
        self,
        network: Network,
        images: ImageSet,
        loader: BatchSource,
        config: TrainConfig,
        stream: Stream,
        epochs: int,
        parts: BatchParts | None = None,
        precision: Precision = "tf32",
    ) -> None:
        self.network, self.images, self.loader = network, images, loader
        self.config, self.stream, self.epochs, self.precision = config, stream, epochs, precision
        self.steps = loader.steps(images, config.batch_size)
        self.fixed_statistics = config.bn_statistics == "fixed"
        network.train_with(config.stochastic_depth, config.bn_momentum, fixed_statistics=self.fixed_statistics)
        self.parameters = list(network.parameters())
        self.parts = replace(parts or BatchParts(), parameters=self.parameters)
        self.optimizer = make_optimizer(
            network, config.optimizer, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.average = WeightAverage(self.parameters, config.ema_decay)
        self.position = (0, 0)
        self.lost_steps = LostSteps("the loss", f"lower the learning rate ({config.lr})")
        self._unread = UnreadSteps(loader.device, self.lost_steps)
        self.epoch_loss = self.epoch_correct = 0.0
        self.epoch_images = 0

    @property
    def finished(self) -> bool:
        return self.position[0] >= self.epochs

    def run_epoch(self) -> Iterator[int]:
        """Train to the end of the current epoch, yielding the step just done: a place to save, report or stop."""
        epoch, first_step = self.position
        if self.fixed_statistics and self.position == (0, 0):
            recalibrate_batch_norm(self.network, self.loader.plain(self.images), STATISTICS_IMAGES)
        self.network.train()
        batches = self.loader.epoch(
            self.images,
            self.stream,
            epoch,
            self.config.batch_size,
            first_step,
            balanced=self.config.class_balanced,
        )
        for step, (x, labels) in enumerate(batches, start=first_step):
            self._step(x, labels, epoch * self.steps + step)
            self.position = (epoch, step + 1) if step + 1 < self.steps else (epoch + 1, 0)
            if self._unread.due or step + 1 == self.steps:
                self._read()
            yield step

    @property
    def unreported(self) -> bool:
        """An epoch ended whose metrics were not taken yet."""
        return self.position[1] == 0 and self.epoch_images > 0

    def take_epoch_metrics(self) -> dict[str, float]:
        """Training loss and top-1 (of augmented images, weights as they moved) over the epoch; the next starts at 0."""
        self._read()
        seen = self.epoch_images or math.nan  # every step lost: there is no loss to report
        lr = self.optimizer.param_groups[0]["lr"]
        metrics = {"loss": self.epoch_loss / seen, "train_top1_pct": 100 * self.epoch_correct / seen, "lr": lr}
        self.epoch_loss = self.epoch_correct = 0.0
        self.epoch_images = 0
        return metrics

    def averaged(self, max_images: int = RECALIBRATION_IMAGES) -> Network:
        """What is scored and shipped: a copy with the averaged weights, batch norms with statistics of training images.

        They are recalibrated; where they were fixed in training, they adopt them, so that the network stays the same.
        """
        network = copy.deepcopy(self.network)
        self.average.copy_to(network.parameters())
        if self.fixed_statistics:
            adopt_statistics(network, self.loader.plain(self.images), min(max_images, STATISTICS_IMAGES))
        else:
            recalibrate_batch_norm(network, self.loader.plain(self.images), max_images)
        return network.eval()

    def state_dict(self) -> dict[str, Any]:
        self._read()
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "position": list(self.position),
            "epoch_sums": [self.epoch_loss, self.epoch_correct, self.epoch_images],
            "lost_steps": self.lost_steps.in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])
        self.position = (state["position"][0], state["position"][1])
        self.epoch_loss, self.epoch_correct, self.epoch_images = state["epoch_sums"]
        self.lost_steps.in_a_row = state["lost_steps"]

    def _step(self, x: torch.Tensor, labels: torch.Tensor, global_step: int) -> None:
        config = self.config
        warmup_steps = min(config.warmup_epochs, self.epochs // 2) * self.steps
        set_lr(self.optimizer, self._lr(global_step, warmup_steps))
        measured = self.parts.differentiate(
            x, labels, lambda part, count: self._accumulate(part, count, global_step), self._buffers
        )
        is_lost = lost(measured[0])
        step_unless(is_lost, self.optimizer)
        self.average.update(self.parameters, is_lost)
        self._unread.add(measured, len(labels))

    def _lr(self, global_step: int, warmup_steps: int) -> float:
        config = self.config
        if config.schedule == "steps":
            steps_per_drop = config.lr_decay_epochs * self.steps
            return stepped_lr(global_step, steps_per_drop, warmup_steps, config.lr, config.lr_decay)
        return cosine_lr(global_step, self.epochs * self.steps, warmup_steps, config.lr)

    def _read(self) -> None:
        """Add what the steps since the last read measured to the sums of the epoch."""
        for (loss, correct), images in self._unread.read():
            self.epoch_loss += loss * images
            self.epoch_correct += correct
            self.epoch_images += images

    def _buffers(self) -> list[torch.Tensor]:
        return list(self.network.buffers())

    def _accumulate(self, whole: Part, micro_batches: int, global_step: int) -> torch.Tensor:
        """Add gradients of a part of a batch; (2,) float64: its share of the mean loss, and its right answers."""
        if self.config.dropout or self.config.stochastic_depth:  # all that draws from torch's own generator
            number = global_step * self.parts.count + whole.number
            draw = random_stream("dropout", self.loader.seed, number).integers(2**63)
            torch.manual_seed(int(draw))
        measured = torch.zeros(2, dtype=torch.float64, device=whole.x.device)
        for part, part_labels, share in split(whole.x, whole.labels, micro_batches):
            with forward_in(self.precision, part.device):
                logits = self.network(part).float()
                loss = F.cross_entropy(logits, part_labels, label_smoothing=self.config.label_smoothing)
                loss = whole.share * share * loss
            loss.backward()
            classes = part_labels if part_labels.dim() == 1 else part_labels.argmax(1)  # mixed: by the larger share
            correct = (logits.detach().argmax(1) == classes).sum()
            measured += torch.stack((loss.detach().double(), correct.double()))
        return measured
