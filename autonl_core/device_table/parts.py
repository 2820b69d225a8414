"""Parts of networks as ONNX models, node by node as the exported file of a search has them, with random weights.

Batch norms are folded away. Written here because tracing takes seconds for every model, and a space has hundreds of
distinct blocks; a test compares the nodes with those of an exported file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from autonl_core.errors import SpaceError
from autonl_core.spec.arch import Activation, ArchSpec, BlockSpec, LightNLSpec, Padding
from autonl_core.spec.macs import block_sizes, out_size
from autonl_core.spec.search_space import SearchSpace

_OPSET, _IR_VERSION = 11, 6  # as `export.onnx_age` makes them
_BATCH = "batch"
_END = np.iinfo(np.int64).max  # of a slice that goes to the end
_INPUT, _OUTPUT = "images", "logits"


def network_model(arch: ArchSpec) -> bytes:
    """The whole network, (B, 3, R, R) -> (B, classes)."""
    sizes = block_sizes(arch)

    def write(graph: _Graph) -> str:
        x = graph.stem(_INPUT, arch.stem_channels, arch.stem_stride, arch.resolution, arch.activation, arch.padding)
        for block, size in zip(arch.blocks, sizes, strict=False):
            x = graph.block(x, block, size, arch.padding)
        last = arch.blocks[-1].out_channels
        return graph.ends(x, last, arch.head_channels, arch.num_classes, arch.activation)

    return _model((3, arch.resolution, arch.resolution), write)


def stem_model(space: SearchSpace) -> bytes:
    """The first convolution, (B, 3, R, R) -> (B, C, H, W)."""
    given = (space.stem_channels, space.stem_stride, space.resolution, space.activation, space.padding)
    return _model((3, space.resolution, space.resolution), lambda graph: graph.stem(_INPUT, *given))


def block_model(block: BlockSpec, in_size: int, padding: Padding) -> bytes:
    """One block, (B, C, H, W) -> (B, C', H', W')."""
    return _model((block.in_channels, in_size, in_size), lambda graph: graph.block(_INPUT, block, in_size, padding))


def ends_model(space: SearchSpace, head_channels: int, num_classes: int) -> bytes:
    """Head, pooling and classifier, (B, C, H, W) -> (B, classes)."""
    channels, size = space.stages[-1].out_channels, space.sizes[-1]
    given = (channels, head_channels, num_classes, space.activation)
    return _model((channels, size, size), lambda graph: graph.ends(_INPUT, *given))


def empty_model() -> bytes:
    """One that computes nothing: what is left is what every run of a model takes."""
    return _model((1, 1, 1), lambda graph: graph.node("Identity", _INPUT))


def _model(shape: Sequence[int], write: Callable[[_Graph], str]) -> bytes:
    graph = _Graph()
    last = write(graph)
    graph.nodes[-1].output[0] = _OUTPUT
    assert last == graph.last
    taken = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [_BATCH, *shape])
    given = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, None)
    made = helper.make_graph(graph.nodes, "part", [taken], [given], graph.weights)
    model: ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and weights that are being written; every method returns the name of what its last node puts out."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.last = ""
        self._rng = np.random.default_rng(0)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self.last = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [self.last], **attributes))
        return self.last

    def stem(
        self, x: str, channels: int, stride: int, resolution: int, activation: Activation, padding: Padding
    ) -> str:
        return self.activate(self.conv(x, 3, channels, 3, _pads(3, stride, resolution, padding), stride), activation)

    def ends(self, x: str, in_channels: int, head_channels: int, num_classes: int, activation: Activation) -> str:
        x = self.activate(self.conv(x, in_channels, head_channels, 1), activation)
        x = self.node("ReduceMean", x, axes=[2, 3], keepdims=0)
        weight = self._weight((num_classes, head_channels), head_channels)
        return self.node("Gemm", x, weight, self._weight((num_classes,), num_classes), transB=1)

    def block(self, x: str, spec: BlockSpec, in_size: int, padding: Padding) -> str:
        expanded, h = spec.expanded_channels, x
        if spec.expand_ratio > 1:
            h = self.activate(self.conv(h, spec.in_channels, expanded, 1), spec.activation)
        pads = _pads(spec.kernel_size, spec.stride, in_size, padding)
        h = self.conv(h, expanded, expanded, spec.kernel_size, pads, spec.stride, groups=expanded)
        h = self.activate(h, spec.activation)
        if spec.se_channels:
            h = self._squeeze_excite(h, expanded, spec)
        z = self.conv(h, expanded, spec.out_channels, 1)
        if spec.light_nl is not None:
            z = self._light_nl(z, spec.out_channels, out_size(in_size, spec.stride), spec.light_nl)
        return self.node("Add", x, z) if spec.residual else z

    def conv(
        self,
        x: str,
        in_channels: int,
        out_channels: int,
        kernel: int,
        pads: Sequence[int] = (0, 0, 0, 0),
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        shape = (out_channels, in_channels // groups, kernel, kernel)
        weight, bias = self._weight(shape, math.prod(shape[1:])), self._weight((out_channels,), out_channels)
        attributes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": list(pads)}
        return self.node("Conv", x, weight, bias, group=groups, **attributes)

    def activate(self, x: str, activation: Activation) -> str:
        if activation == "swish":
            return self.node("Mul", x, self.node("Sigmoid", x))
        if activation == "relu6":
            return self.node("Clip", x, self._value(np.float32(0)), self._value(np.float32(6)))
        if activation == "relu":
            return self.node("Relu", x)
        raise SpaceError(f"device tables know no activation {activation!r}; they know swish, relu and relu6")

    def _squeeze_excite(self, x: str, channels: int, spec: BlockSpec) -> str:
        s = self.node("ReduceMean", x, axes=[2, 3], keepdims=1)
        s = self.conv(s, channels, spec.se_channels, 1)
        s = self.activate(s, "swish" if spec.activation == "swish" else "relu")
        return self.node("Mul", x, self.node("Sigmoid", self.conv(s, spec.se_channels, channels, 1)))

    def _light_nl(self, x: str, channels: int, size: int, spec: LightNLSpec) -> str:
        stride, positions = spec.nl_stride, size * size
        compact, sampled = int(spec.nl_ratio * channels), out_size(size, stride) ** 2
        taken = x if stride == 1 else self._slice(self._slice(x, 2, _END, stride), 3, _END, stride)
        x_c = self._reshape(self._slice(x, 1, compact), (-1, compact, positions))
        x_s = self._reshape(taken, (-1, channels, sampled))
        x_sc = self.node("Transpose", self._slice(x_s, 1, compact), perm=[0, 2, 1])
        divisor = self._value(np.float32(positions))
        if (positions + sampled) * channels * compact <= positions * sampled * (channels + compact):
            affinity = self.node("Div", self.node("MatMul", x_s, x_sc), divisor)  # (B, C, C')
            y = self.node("MatMul", affinity, x_c)
        else:
            affinity = self.node("Div", self.node("MatMul", x_sc, x_c), divisor)  # (B, r, HW)
            y = self.node("MatMul", x_s, affinity)
        y = self._reshape(y, (-1, channels, size, size))
        return self.node("Add", x, self.conv(y, channels, channels, 3, (1, 1, 1, 1), groups=channels))

    def _slice(self, x: str, axis: int, end: int, step: int = 1) -> str:
        bounds = (self._value(np.array([value], dtype=np.int64)) for value in (0, end, axis, step))
        return self.node("Slice", x, *bounds)

    def _reshape(self, x: str, shape: Sequence[int]) -> str:
        return self.node("Reshape", x, self._value(np.array(shape, dtype=np.int64)))

    def _weight(self, shape: tuple[int, ...], inputs: int) -> str:
        """Random weights that keep the size of what passes through them."""
        return self._value((self._rng.standard_normal(shape) / math.sqrt(inputs)).astype(np.float32))

    def _value(self, value: NDArray[np.generic] | np.generic) -> str:
        name = f"value_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def _pads(kernel: int, stride: int, in_size: int, padding: Padding) -> tuple[int, int, int, int]:
    """Zeros above, left, below and right."""
    if padding == "symmetric" or stride == 1:
        return (kernel // 2,) * 4
    total = max((out_size(in_size, stride) - 1) * stride + kernel - in_size, 0)
    before, after = total // 2, total - total // 2
    return before, before, after, after
