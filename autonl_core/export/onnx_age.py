"""ONNX files as old as their content allows: phones and boards have runtimes that are years older than the exporter.

Every opset names the ONNX version, and with it the runtimes, that a file needs at least. Most operators gained new
versions only for further types of numbers, so that a float32 graph means the same in an older one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # tensor code
    from onnx import ModelProto, NodeProto

# From which opset on an operator means what it means in the newest, for float32 and the attributes that exporters set.
# An operator that is not listed keeps the version that it was exported with.
_SAME_SINCE = {
    "Add": 7, "Cast": 9, "Clip": 11, "Concat": 11, "Conv": 11, "Div": 7, "Expand": 8, "Flatten": 11, "Gemm": 11,
    "GlobalAveragePool": 1, "HardSigmoid": 6, "Identity": 1, "MatMul": 9, "Mul": 7, "Pad": 11, "ReduceMean": 11,
    "Relu": 6, "Reshape": 5, "Shape": 1, "Sigmoid": 6, "Slice": 11, "Sub": 7, "Transpose": 1, "Unsqueeze": 13,
}  # fmt: skip
_AXES_ARE_INPUTS_SINCE = 18  # of ReduceMean
_WITH_OLDER_MEANING = {"Reshape": ("allowzero",), "ReduceMean": ("noop_with_empty_axes",)}
OLDEST = 11  # ONNX 1.6 of 2019


def make_old(model: ModelProto, at_least: int = OLDEST) -> int:
    """Lower opset and IR version of `model` as far as its nodes allow, but not below the opset `at_least`; returns it.

    Only operators of the standard domain are expected.
    """
    from onnx import helper

    (current,) = model.opset_import
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {n.output[0]: a.t for n in model.graph.node for a in n.attribute if n.op_type == "Constant"}
    needed = [_oldest_opset(node, current.version, constants) for node in model.graph.node]
    if current.version >= _AXES_ARE_INPUTS_SINCE > max([at_least, *needed]):
        for node in model.graph.node:
            _take_old_form(node, constants)
        _remove_unused_constants(model)
    current.version = min(current.version, max([at_least, *needed]))
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    return current.version


def opset_of(path: Path) -> int:
    """The opset of the ONNX file at `path`."""
    import onnx

    (opset,) = onnx.load(path).opset_import
    return opset.version


def _oldest_opset(node: NodeProto, current: int, constants: dict[str, Any]) -> int:
    """The oldest opset in which the node, in its old form if it has one, means what it means in the opset `current`."""
    from onnx import defs, numpy_helper

    newest = int(defs.get_schema(node.op_type, current, node.domain).since_version)
    oldest = min(newest, _SAME_SINCE.get(node.op_type, newest))
    if node.op_type == "ReduceMean" and len(node.input) > 1 and node.input[1] not in constants:
        return newest
    if node.op_type == "Reshape" and any(a.name == "allowzero" and a.i for a in node.attribute):
        shape = constants.get(node.input[1])
        if shape is None or (numpy_helper.to_array(shape) == 0).any():
            return newest  # a zero would mean: as many as before
    return oldest


def _take_old_form(node: NodeProto, constants: dict[str, Any]) -> None:
    """Axes become an attribute, and attributes that older versions do not have are removed."""
    from onnx import helper, numpy_helper

    if node.op_type == "ReduceMean" and len(node.input) > 1:
        axes = numpy_helper.to_array(constants[node.input[1]]).reshape(-1).tolist()
        del node.input[1:]
        node.attribute.append(helper.make_attribute("axes", axes))
    newer = _WITH_OLDER_MEANING.get(node.op_type, ())
    kept = [attribute for attribute in node.attribute if attribute.name not in newer]
    del node.attribute[:]
    node.attribute.extend(kept)


def _remove_unused_constants(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
