"""The optimiser, the learning-rate schedule, and the moving average of weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from autonl_core.host.compiler import load_no_compiler
from autonl_core.spec.config_sections import TrainOptimizerName

Step = Callable[..., Any]


def _step_of(optimizer: type[torch.optim.Optimizer]) -> Step:
    """The optimiser's own `step`, without the decorator that loads the compiler too."""
    step: Step = torch.no_grad()(inspect.unwrap(optimizer.step))
    return step


load_no_compiler(torch.optim.Optimizer)


class Adam(torch.optim.Adam):
    """torch's, without its compiler."""

    step = _step_of(torch.optim.Adam)


class FusedAdamW(torch.optim.AdamW):
    """AdamW, all weights in one pass, without torch's compiler."""

    step = _step_of(torch.optim.Adam)
    found_inf: Tensor | None = None  # torch's name for what makes a fused step change nothing; see `step_unless`

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, lr=lr, fused=True)


class FusedSGD(torch.optim.SGD):
    """SGD with Nesterov momentum, all weights in one pass.

    Every weight has a momentum from the start, at zero, which changes nothing: weights that get their first gradient
    later than others, as in a supernet, would otherwise have none, and the fused update refuses that.
    """

    step = _step_of(torch.optim.SGD)
    found_inf: Tensor | None = None

    def __init__(self, groups: list[dict[str, Any]], lr: float, momentum: float) -> None:
        super().__init__(groups, lr=lr, momentum=momentum, nesterov=momentum > 0, fused=True)
        self._start_momentum()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._start_momentum()

    def _start_momentum(self) -> None:
        for group in self.param_groups:
            group["fused"] = True  # a run state of an earlier version says otherwise
            for parameter in group["params"] if group["momentum"] else []:
                state = self.state[parameter]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = torch.zeros_like(parameter)


class RMSprop(torch.optim.Optimizer):
    """RMSprop as TensorFlow computes it, and as the published networks were trained: epsilon inside the square root.

    With the gradient g and decayed weights added to it, at every step

        s = .9 s + .1 g^2        m = momentum m + g / sqrt(s + .001)        w = w - lr m

    where s and m begin at 0.
    """

    SQUARE_DECAY = 0.9
    EPS = 1e-3
    found_inf: Tensor | None = None

    def __init__(self, groups: list[dict[str, Any]], lr: float, momentum: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; none where `found_inf`, a scalar of 0 or 1 that the host does not read, is 1."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["square"], state["moved"] = torch.zeros_like(weight), torch.zeros_like(weight)
        gradient = gradient.add(weight, alpha=group["weight_decay"]) if group["weight_decay"] else gradient
        square = state["square"].lerp(gradient.square(), 1 - self.SQUARE_DECAY)
        moved = group["momentum"] * state["moved"] + gradient / (square + self.EPS).sqrt()
        for old, new in ((state["square"], square), (state["moved"], moved), (weight, weight - group["lr"] * moved)):
            old.copy_(new if self.found_inf is None else torch.where(self.found_inf > 0, old, new))


AnyOptimizer = FusedSGD | FusedAdamW | RMSprop


def make_optimizer(
    module: nn.Module, name: TrainOptimizerName, *, lr: float, momentum: float, weight_decay: float
) -> AnyOptimizer:
    """SGD with Nesterov momentum, RMSprop, or AdamW, which has no use for `momentum`.

    Weight decay is on matrices and kernels only, never on scales, shifts or biases.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "rmsprop":
        return RMSprop(groups, lr=lr, momentum=momentum)
    return FusedSGD(groups, lr=lr, momentum=momentum) if name == "sgd" else FusedAdamW(groups, lr=lr)


def lost(loss: Tensor) -> Tensor:
    """1 if a step of this loss, a scalar, must change nothing, since it is not finite; else 0. Not read by the host."""
    return (~torch.isfinite(loss)).float()


def step_unless(is_lost: Tensor, optimizer: AnyOptimizer) -> None:
    """One step of `optimizer`; none where `is_lost`, a scalar of 0 or 1 on the device of the weights, is 1."""
    optimizer.found_inf = is_lost
    optimizer.step()


def cosine_lr(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Linear rise over `warmup_steps`, then half a cosine down to 0 at `steps`. A function of the step alone."""
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    share = (step - warmup_steps) / max(1, steps - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def stepped_lr(step: int, steps_per_drop: float, warmup_steps: int, peak: float, decay: float) -> float:
    """`peak`, times `decay` once for every `steps_per_drop` that have passed; a linear rise over `warmup_steps` first.

    Drops are counted from the first step on. A function of the step alone.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    return peak * decay ** int(step / steps_per_drop)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


class WeightAverage:
    """Exponential moving average of a module's parameters, with the short memory that young averages need.

    The decay at step t is min(decay, (1 + t) / (10 + t)). Batch-norm statistics are not averaged: they are
    recalibrated for the averaged weights.
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float) -> None:
        self.decay = decay
        self.values = [p.detach().clone() for p in parameters]
        self._steps = torch.zeros((), dtype=torch.float64, device=self.values[0].device)

    @torch.no_grad()
    def update(self, parameters: Iterable[Tensor], is_lost: Tensor | None = None) -> None:
        """Average what `parameters` are after one more step; nothing where `is_lost`, a scalar of 0 or 1, is 1."""
        counts = 1.0 if is_lost is None else 1.0 - is_lost.double()
        decay = ((1 + self._steps) / (10 + self._steps)).clamp(max=self.decay)
        weight = ((1 - decay) * counts).float()
        self._steps += counts
        torch._foreach_lerp_(self.values, [p.detach() for p in parameters], [weight] * len(self.values))

    @torch.no_grad()
    def copy_to(self, parameters: Iterable[Tensor]) -> None:
        for target, value in zip(parameters, self.values, strict=True):
            target.copy_(value)

    def state_dict(self) -> dict[str, int | list[Tensor]]:
        return {"steps": int(self._steps), "values": self.values}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, int | list[Tensor]]) -> None:
        steps, values = state["steps"], state["values"]
        assert isinstance(steps, int)
        assert isinstance(values, list)
        self._steps.fill_(steps)
        for mine, value in zip(self.values, values, strict=True):
            mine.copy_(value)
