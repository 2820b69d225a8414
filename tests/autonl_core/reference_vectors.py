"""The rule that the reference vectors of `tests/data/port` follow: every weight from its key, its shape and a seed.

Those of `tests/data/lite` are of the released weights; only the images come from a seed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "data" / "port"
LITE_FOLDER = Path(__file__).parents[1] / "data" / "lite"


def port_state(name: str, seed: int = 1) -> dict[str, Tensor]:
    """A state dict of the PyTorch port, with its own keys."""
    shapes = json.loads((FOLDER / f"{name}_state_dict.json").read_text())
    return {key: _tensor(key, tuple(shape), seed) for key, shape in shapes.items()}


def images(batch: int, size: int, seed: int = 1) -> Tensor:
    """(B, 3, size, size), standard normal."""
    return torch.from_numpy(np.random.RandomState(seed).normal(0, 1, (batch, 3, size, size)).astype(np.float32))


def port_logits(name: str) -> Tensor:
    """What the port computes in float64 for `images(2, 224)` with the weights of `port_state`."""
    return torch.from_numpy(np.load(FOLDER / f"{name}_seed1.npz")["logits"])


def with_reference_weights(state: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The keys and shapes of `state` with values by the rule."""
    return {key: _tensor(key, tuple(value.shape), seed) for key, value in state.items()}


def lite0_logits(size: int, seed: int) -> Tensor:
    """What EfficientNet-Lite0, as released, gives in float64 for `images(2, size, seed)`."""
    return torch.from_numpy(np.load(LITE_FOLDER / f"efficientnet_lite0_seed{seed}_{size}.npz")["logits"])


def _tensor(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    random = np.random.RandomState((zlib.crc32(key.encode()) + seed) % 2**32)
    if key.endswith("running_var"):
        value = random.uniform(0.5, 1.5, shape)
    elif key.endswith(("running_mean", "bias")):
        value = random.normal(0.0, 0.1, shape)
    elif len(shape) == 1:  # scale of a batch norm
        value = random.uniform(0.5, 1.5, shape)
    elif "nl_op" in key:  # LightNL is cubic in its input: keep its share of order one
        value = random.normal(0.0, 1e-4, shape)
    else:
        value = random.normal(0.0, np.sqrt(1.0 / np.prod(shape[1:])), shape)
    return torch.from_numpy(value.astype(np.float32))
