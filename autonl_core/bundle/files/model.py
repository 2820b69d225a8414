"""The network of this bundle in plain PyTorch: architecture from arch.json, weights from model.safetensors.

    network = load("arch.json", "model.safetensors")    # in evaluation mode
    logits = network(images)                            # (B, 3, R, R) float32 -> (B, classes)

Images are RGB, scaled and normalised as described in preprocess.json; logits are in the order of labels.txt. Needs
only torch.

A stem (3x3 convolution), blocks (inverted residuals, each with an optional squeeze-excite and an optional LightNL, the
lightweight non-local block of arXiv:2004.01961), a head (1x1 convolution), global average pooling, a classifier.
"""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BN_EPS = 1e-3
MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swish": F.silu,
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_swish": F.hardswish,
}
GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid}
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
}


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, unless `activation` is None, an activation.

    `padding`: "symmetric", `kernel_size // 2` on every side, or "same", as TensorFlow's SAME.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        groups: int,
        activation: str | None,
        padding: str = "symmetric",
    ) -> None:
        super().__init__()
        self.same = padding == "same" and stride > 1  # with a stride of 1 the two are equal
        margin = 0 if self.same else kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, margin, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(out_channels, eps=BN_EPS)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        if self.same:
            x = pad_same(x, self.conv.kernel_size[0], self.conv.stride[0])
        x = self.norm(self.conv(x))
        return x if self.activation is None else ACTIVATIONS[self.activation](x)


class SqueezeExcite(nn.Module):
    """Squeeze-excite: channels scaled by a gate computed from their means (Hu et al., 2018)."""

    def __init__(self, channels: int, squeezed_channels: int, activation: str, gate: str) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed_channels, 1)
        self.expand = nn.Conv2d(squeezed_channels, channels, 1)
        self.activation = "swish" if activation == "swish" else "relu"
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        s = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        s = ACTIVATIONS[self.activation](self.reduce(s))  # (B, squeezed, 1, 1)
        return x * GATES[self.gate](self.expand(s))


class LightNL(nn.Module):
    """z = x + BN(DWConv3x3(y)) with y = x_c x_sc^T x_s / d, computed in the cheaper order of the two products.

    x_c: the first C' channels; x_s: every s-th row and column; x_sc: both; d: number of positions, or height / width.
    """

    def __init__(self, channels: int, nl_ratio: float, nl_stride: int, divisor: str) -> None:
        super().__init__()
        self.compact_channels = int(nl_ratio * channels)
        self.nl_stride = nl_stride
        self.divisor = divisor
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        compact, positions = self.compact_channels, height * width
        divisor = height / width if self.divisor == "aspect" else positions
        x_s = x if self.nl_stride == 1 else x[:, :, :: self.nl_stride, :: self.nl_stride]
        x_c = x[:, :compact].flatten(2)  # (B, C', HW)
        x_s = x_s.flatten(2)  # (B, C, r)
        x_sc = x_s[:, :compact]  # (B, C', r)
        sampled = x_s.shape[2]
        if (positions + sampled) * channels * compact <= positions * sampled * (channels + compact):
            affinity = x_s @ x_sc.mT / divisor  # (B, C, C'): channels first
            y = affinity @ x_c  # (B, C, HW)
        else:
            affinity = x_sc.mT @ x_c / divisor  # (B, r, HW): positions first
            y = x_s @ affinity  # (B, C, HW)
        return x + self.norm(self.depthwise(y.unflatten(2, (height, width))))


class Block(nn.Module):
    """Expand, depthwise, squeeze-excite, project, LightNL, residual. Parts that the block lacks are None."""

    def __init__(self, spec: dict[str, Any], padding: str) -> None:
        super().__init__()
        in_channels, out_channels, stride = spec["in_channels"], spec["out_channels"], spec["stride"]
        activation, expanded = spec.get("activation", "swish"), expanded_width(in_channels, spec["expand_ratio"])
        self.residual = spec["skip"] and stride == 1 and in_channels == out_channels
        self.expand = ConvNorm(in_channels, expanded, 1, 1, 1, activation) if spec["expand_ratio"] > 1 else None
        self.depthwise = ConvNorm(expanded, expanded, spec["kernel_size"], stride, expanded, activation, padding)
        self.squeeze_excite: nn.Module | None = None
        if spec["se_ratio"] > 0:
            squeezed = max(1, int(in_channels * spec["se_ratio"] + 0.5))
            self.squeeze_excite = SqueezeExcite(expanded, squeezed, activation, spec.get("se_gate", "sigmoid"))
        self.project = ConvNorm(expanded, out_channels, 1, 1, 1, None)
        self.light_nl: nn.Module | None = None
        if spec["light_nl"]:
            light_nl = spec["light_nl"]
            divisor = light_nl.get("divisor", "positions")
            self.light_nl = LightNL(out_channels, light_nl["nl_ratio"], light_nl["nl_stride"], divisor)

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.expand is None else self.expand(x)
        h = self.depthwise(h)
        h = h if self.squeeze_excite is None else self.squeeze_excite(h)
        z = self.project(h)
        z = z if self.light_nl is None else self.light_nl(z)
        return x + z if self.residual else z


class Network(nn.Module):
    """The network described by the content of an arch.json."""

    def __init__(self, arch: dict[str, Any]) -> None:
        super().__init__()
        self.activation, padding = arch.get("activation", "swish"), arch.get("padding", "symmetric")
        self.stem = ConvNorm(3, arch["stem_channels"], 3, arch["stem_stride"], 1, self.activation, padding)
        self.blocks = nn.ModuleList(Block(spec, padding) for spec in arch["blocks"])
        last, width, hidden = arch["blocks"][-1]["out_channels"], arch["head_channels"], arch.get("hidden_channels", 0)
        self.head = ConvNorm(last, width, 1, 1, 1, self.activation)
        self.hidden = nn.Linear(width, hidden) if hidden else None
        self.classifier = nn.Linear(hidden or width, arch["num_classes"])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, R, R) -> logits (B, classes)."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        x = self.head(x).mean((2, 3))  # (B, head_channels)
        if self.hidden is not None:
            x = ACTIVATIONS[self.activation](self.hidden(x))
        return self.classifier(x)


def load(arch: str | Path, weights: str | Path) -> Network:
    """The network of an arch.json with the weights of a model.safetensors, in evaluation mode.

    Raises:
        ValueError: `weights` is not a safetensors file.
        RuntimeError: the weights belong to another architecture.
    """
    with torch.device("meta"):  # no memory for weights that are replaced right away
        network = Network(json.loads(Path(arch).read_text(encoding="utf-8")))
    network.load_state_dict(read_safetensors(weights), assign=True)
    return network.eval().requires_grad_(False)


def fuse(network: Network) -> Network:
    """A copy for inference, with every batch norm folded into its convolution."""
    fused = copy.deepcopy(network).eval()
    for layer in list(fused.modules()):
        if isinstance(layer, ConvNorm) and isinstance(layer.norm, nn.BatchNorm2d):
            layer.conv, layer.norm = fuse_conv_bn_eval(layer.conv, layer.norm), nn.Identity()
        elif isinstance(layer, LightNL) and isinstance(layer.norm, nn.BatchNorm2d):
            layer.depthwise, layer.norm = fuse_conv_bn_eval(layer.depthwise, layer.norm), nn.Identity()
    return fused.requires_grad_(False)


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: 8 bytes of header length, a JSON header, then the values.

    Raises:
        ValueError: it is not a safetensors file, or a tensor lies outside of it.
    """
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError(f"{path} is not a safetensors file: its header would be {length} bytes long")
    values = memoryview(bytearray(data[8 + length :]))
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        return {name: _tensor(values, **entry) for name, entry in header.items() if name != "__metadata__"}
    except (AttributeError, KeyError, TypeError, RecursionError, RuntimeError) as error:
        raise ValueError(f"{path} is a damaged safetensors file: {error}") from error


def _tensor(values: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    start, stop = data_offsets
    if not 0 <= start <= stop <= len(values):
        raise ValueError(f"a tensor from byte {start} to {stop} lies outside the {len(values)} bytes of values")
    if start == stop:
        return torch.empty(shape, dtype=DTYPES[dtype])
    return torch.frombuffer(values[start:stop], dtype=DTYPES[dtype]).reshape(shape)


def pad_same(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """(B, C, H, W) with the zeros that the last window needs, the smaller half of them before the map."""
    margins: list[int] = []
    for size in (int(x.shape[3]), int(x.shape[2])):
        total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
        margins += [total // 2, total - total // 2]
    return F.pad(x, margins)


def expanded_width(in_channels: int, ratio: float) -> int:
    """Channels times ratio; for a fractional ratio rounded to a multiple of 8, never below 90%, as in MobileNetV3."""
    width = in_channels * ratio
    if float(ratio).is_integer():
        return int(width)
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
