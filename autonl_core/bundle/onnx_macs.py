"""MACs counted on an ONNX graph, from its nodes and shapes alone: no code is shared with the other two counts.

The rule is that of `autonl_core/spec/macs.py`, expressed in operators:

    Conv, Gemm, MatMul, Einsum                 one for every product in the definition of the operator
    GlobalAveragePool, ReduceMean, ReduceSum   one for every value pooled
    normalisation, activations, gates, additions, scaling, layout      none

Any other operator is an error: a graph that cannot be counted gets no certificate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autonl_core.errors import VerificationError

Shape = tuple[int, ...]

_ELEMENTWISE = """Add Sub Mul Div Neg Sqrt Pow Reciprocal Exp Clip Min Max Sigmoid HardSigmoid HardSwish Swish Relu
    Cast CastLike BatchNormalization Dropout"""
_LAYOUT = """Identity Constant ConstantOfShape Shape Reshape Flatten Squeeze Unsqueeze Transpose Slice Gather Concat
    Split Expand Pad"""
_EIGHT_BITS = "QuantizeLinear DequantizeLinear"
FREE = frozenset(f"{_ELEMENTWISE} {_LAYOUT} {_EIGHT_BITS}".split())


def count_onnx_macs(path: Path, resolution: int) -> dict[str, int]:
    """MACs of one image of `resolution` pixels, by operator, from the ONNX file at `path`.

    Raises:
        VerificationError: an operator is unknown, or a shape cannot be inferred.
    """
    import onnx

    proto = onnx.load(path)
    _fix_input(proto.graph, resolution)
    try:
        graph = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise VerificationError(f"{path.name}: shapes cannot be inferred: {error}") from error
    shapes = _shapes(graph)
    counted: Counter[str] = Counter()
    for node in graph.node:
        counted[node.op_type] += _count(node, shapes)
    return {op: macs for op, macs in sorted(counted.items()) if macs}


def _fix_input(graph: Any, resolution: int) -> None:
    """Set the batch size to 1 and drop shapes that were inferred for another one."""
    del graph.value_info[:]
    for dim, size in zip(graph.input[0].type.tensor_type.shape.dim, (1, 3, resolution, resolution), strict=True):
        dim.dim_value = size
    for dim in graph.output[0].type.tensor_type.shape.dim[:1]:
        dim.dim_value = 1


def count_onnx_weights_bytes(path: Path) -> int:
    """Bytes of the weights and biases of all layers in the ONNX file at `path`."""
    import onnx

    graph = onnx.load(path).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor).nbytes for tensor in graph.initializer}
    used = {name for node in graph.node if node.op_type in _COUNTED for name in node.input}
    return sum(stored_bytes for name, stored_bytes in stored.items() if name in used)


def _shapes(graph: Any) -> dict[str, Shape | None]:
    """The shape of every tensor; None if a dimension is unknown."""
    shapes: dict[str, Shape | None] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        dims = value.type.tensor_type.shape.dim
        closed = all(dim.HasField("dim_value") for dim in dims)
        shapes[value.name] = tuple(dim.dim_value for dim in dims) if closed else None
    return shapes


def _count(node: Any, shapes: Mapping[str, Shape | None]) -> int:
    if node.domain not in ("", "ai.onnx"):
        raise VerificationError(f"operator {node.domain}.{node.op_type} of node {node.name!r} is not standard")
    if node.op_type in FREE:
        return 0
    count = _COUNTED.get(node.op_type)
    if count is None:
        raise VerificationError(f"the cost of operator {node.op_type} of node {node.name!r} is unknown")
    names = [name for name in (*node.input, node.output[0]) if name]
    known = [shapes.get(name) for name in names]
    closed = [shape for shape in known if shape is not None]
    if len(closed) < len(known):
        raise VerificationError(f"the shapes of {node.op_type} node {node.name!r} cannot be inferred")
    return count(node, closed[:-1], closed[-1])


def _conv(node: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Every output value sums over one filter, (C_in / groups) * kernel, zeros of the padding included."""
    return math.prod(output) * math.prod(inputs[1][1:])


def _gemm(node: Any, inputs: Sequence[Shape], output: Shape) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(output) * inputs[0][0 if transposed else 1]


def _matmul(node: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """(..., M, K) x (..., K, N) -> (..., M, N)."""
    return math.prod(output) * inputs[0][-1]


def _einsum(node: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """One product for every combination of all indices; two operands only."""
    equation = next(attribute.s for attribute in node.attribute if attribute.name == "equation").decode()
    terms = [term.strip() for term in equation.partition("->")[0].split(",")]
    if "." in equation or len(terms) != 2:
        raise VerificationError(f"einsum {equation!r} of node {node.name!r} cannot be counted")
    sizes = {index: size for term, shape in zip(terms, inputs, strict=True) for index, size in zip(term, shape)}  # noqa: B905
    return math.prod(sizes.values())


def _pool(node: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return math.prod(inputs[0])


_COUNTED: dict[str, Callable[[Any, Sequence[Shape], Shape], int]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "GlobalAveragePool": _pool,
    "ReduceMean": _pool,
    "ReduceSum": _pool,
}
