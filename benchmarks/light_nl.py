"""LightNL, forward and backward, compared with the straightforward formulation (benchmarks/straightforward.py).

    python -m benchmarks.light_nl

Per shape: medians, their ratio, the memory each saves for backward, and the share of the machine's limit that ours
reaches. The limit is seven passes over a feature map (read x, write its convolution and z; read x, the convolution and
the gradient, write the gradient) at the measured bandwidth, or all products at the GEMM peak, whichever takes longer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.macs import light_nl_macs
from benchmarks.harness import arguments, median_costs, saved_bytes, say, write_result
from benchmarks.limits import Limits, measure_limits
from benchmarks.machine import describe
from benchmarks.straightforward import PlainLightNL

SHAPES = ((24, 56, 0.25, 1), (40, 28, 0.25, 2), (80, 14, 0.25, 1), (192, 7, 0.125, 1))
BATCH_SIZE = 32
LEAST_RATIO, MOST_MEMORY = 1.6, 0.7
_MAP_PASSES = 7


def measure(channels: int, size: int, spec: LightNLSpec, rounds: int, device: str, limits: Limits) -> dict[str, Any]:
    """Measure one shape."""
    plain, ours = PlainLightNL(channels, spec).to(device).train(), LightNL(channels, spec).to(device).train()
    nn.init.ones_(ours.norm.weight)
    plain.load_state_dict(ours.state_dict())
    x, upstream = torch.randn(2, BATCH_SIZE, channels, size, size, device=device)
    inputs = {"straightforward": x.clone(), "ours": x.contiguous(memory_format=torch.channels_last)}
    gradients = {"straightforward": upstream, "ours": upstream.contiguous(memory_format=torch.channels_last)}
    blocks: dict[str, nn.Module] = {"straightforward": plain, "ours": ours}
    steps = {name: block_step(blocks[name], inputs[name].requires_grad_(), gradients[name]) for name in blocks}
    costs = median_costs(steps, rounds, device)
    saved = {name: saved_bytes(blocks[name], inputs[name]) for name in blocks}
    macs = 3 * BATCH_SIZE * light_nl_macs(channels, size, spec).total  # backward takes twice the products of forward
    limit_s = limits.seconds(macs, 4 * _MAP_PASSES * x.numel())
    shape = {"channels": channels, "size": size, "nl_ratio": spec.nl_ratio, "nl_stride": spec.nl_stride}
    return shape | costs | {"saved_bytes": saved, "limit_s": limit_s}


def block_step(block: nn.Module, x: Tensor, upstream: Tensor) -> Callable[[], None]:
    """Forward and backward of a block on `x`, with `upstream` as the gradient of what it puts out."""

    def step() -> None:
        x.grad = None
        block.zero_grad()
        block(x).backward(upstream)

    return step


def main() -> int:
    options = arguments(__doc__, rounds=15)
    limits = measure_limits(options.device)
    say(f"LightNL forward and backward, batch {BATCH_SIZE}, {describe()}")
    say(f"limits: {limits.macs_per_s / 1e9:.0f} G MACs/s, {limits.bytes_per_s / 1e9:.1f} GB/s")
    say(f"{'shape':<24}{'straightf. ms':>14}{'ours ms':>9}{'ratio':>7}{'CPU':>7}{'memory':>8}{'of limit':>10}")
    shapes, missed = [], 0
    for channels, size, ratio, stride in SHAPES:
        measured = measure(channels, size, LightNLSpec(ratio, stride), options.rounds, options.device, limits)
        shapes.append(measured)
        plain_s, ours_s = measured["seconds"]["straightforward"], measured["seconds"]["ours"]
        cpu_ratio = measured["cpu_seconds"]["straightforward"] / measured["cpu_seconds"]["ours"]
        memory = measured["saved_bytes"]["ours"] / measured["saved_bytes"]["straightforward"]
        shape = f"{channels}, {size}x{size}, {ratio}, {stride}"
        say(
            f"{shape:<24}{1e3 * plain_s:>14.2f}{1e3 * ours_s:>9.2f}{plain_s / ours_s:>7.2f}{cpu_ratio:>7.2f}"
            f"{memory:>8.2f}{measured['limit_s'] / ours_s:>10.0%}"
        )
        missed += plain_s < LEAST_RATIO * ours_s or memory > MOST_MEMORY
    write_result("light_nl", options, {"batch_size": BATCH_SIZE, "limits": vars(limits), "shapes": shapes})
    if missed and not options.keep_memory:
        say(f"{missed} shapes miss the target of {LEAST_RATIO}x speed and {MOST_MEMORY}x memory")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
