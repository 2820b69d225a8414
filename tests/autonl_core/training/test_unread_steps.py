"""What a step measured is read later, where a read would have to wait; whether it counts is decided on the device."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autonl_core.errors import Diverged
from autonl_core.spec.config_sections import TrainOptimizerName
from autonl_core.training.lost_steps import MAX_LOST_STEPS, LostSteps
from autonl_core.training.optim import WeightAverage, lost, make_optimizer, step_unless
from autonl_core.training.unread_steps import READ_STEPS, UnreadSteps

CPU, GPU = torch.device("cpu"), torch.device("cuda")  # of the second, only the name is used


def unread(device: torch.device) -> UnreadSteps:
    return UnreadSteps(device, LostSteps("the loss", "lower the learning rate"))


def measured(loss: float) -> Tensor:
    return torch.tensor([loss], dtype=torch.float64)


@pytest.mark.parametrize(("device", "steps"), [(CPU, 1), (GPU, READ_STEPS)])
def test_they_are_read_after_every_step_on_a_cpu_and_every_few_elsewhere(device: torch.device, steps: int) -> None:
    waiting = unread(device)
    due = []
    for _ in range(steps):
        waiting.add(measured(1.0), 8)
        due.append(waiting.due)
    assert due == [False] * (steps - 1) + [True]
    assert waiting.read() == [([1.0], 8)] * steps
    assert not waiting.due
    assert waiting.read() == []


def test_lost_steps_are_left_out_and_counted_when_they_are_read() -> None:
    waiting = unread(GPU)
    for loss in (1.0, float("nan"), 2.0, float("inf")):
        waiting.add(measured(loss), 8)
    assert [numbers for numbers, _ in waiting.read()] == [[1.0], [2.0]]
    for _ in range(MAX_LOST_STEPS - 1):  # one is lost already
        waiting.add(measured(float("nan")), 8)
    with pytest.raises(Diverged, match="20 steps in a row"):
        waiting.read()


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_a_lost_step_changes_neither_weights_nor_their_average_nor_what_follows(name: TrainOptimizerName) -> None:
    results = []
    for losses in ([1.0, 1.0], [1.0, float("nan"), 1.0]):
        layer = nn.Linear(3, 2)
        nn.init.constant_(layer.weight, 0.5)
        nn.init.zeros_(layer.bias)
        optimizer = make_optimizer(layer, name, lr=0.1, momentum=0.9, weight_decay=0.01)
        average = WeightAverage(layer.parameters(), 0.9)
        for loss in losses:
            for parameter in layer.parameters():
                parameter.grad = torch.full_like(parameter, loss)
            is_lost = lost(torch.tensor(loss))
            step_unless(is_lost, optimizer)
            average.update(layer.parameters(), is_lost)
        results.append([*(p.detach() for p in layer.parameters()), *average.values])
        assert average.state_dict()["steps"] == 2
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
