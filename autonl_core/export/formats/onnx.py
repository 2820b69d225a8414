"""ONNX in float32. Every search makes it, since the budget certificate counts its graph."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autonl_core.export.format_spec import Forward, LatencyForm, NetworkFormatSpec
from autonl_core.export.onnx_age import make_old
from autonl_core.export.onnx_apps import onnx_apps
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    from onnx import ModelProto
    from torch.export import ExportedProgram
    from torch.onnx import ONNXProgram

    from autonl_core.export.graph import NetworkGraph
    from autonl_core.export.materials import Materials

OPSET = 20  # of the exporter; files get the oldest that their nodes allow
INPUT, OUTPUT = "images", "logits"
_USAGE = """\
import onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
logits = session.run(None, {"images": images})[0]  # numpy"""


def convert(program: ExportedProgram) -> ONNXProgram:
    """The program as ONNX of opset OPSET."""
    import torch

    from autonl_core.export.tracing import quiet

    with quiet():
        converted = torch.onnx.export(
            program, (), dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    assert converted is not None
    return converted


def save_onnx(path: Path, graph: NetworkGraph, metadata: Mapping[str, object]) -> None:
    """Write an ONNX file as old as its nodes allow, with `metadata`, and with nothing about the machine it was made on.

    Raises:
        ValueError: the graph has no weights yet.
    """
    model = graph.converted(convert).model_proto
    if _has_unknown(model):
        model = graph.convert_again(convert).model_proto
    if _has_unknown(model):
        raise ValueError("the weights of the network are unknown or not finite")
    _remove_traces_of_the_machine(model)
    _name_batch_dimension(model)
    make_old(model)
    for name, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)
    write_atomically(path, lambda temporary: temporary.write_bytes(model.SerializeToString(deterministic=True)))


def open_onnx(path: Path, threads: int) -> Forward:
    """An ONNX file as a function of (B, 3, R, R) tensors, for measuring latency."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.add_session_config_entry("session.force_spinning_stop", "1")  # idle threads would slow down other forms
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})


def _prepare(graph: NetworkGraph) -> None:
    graph.converted(convert)


def _make(materials: Materials, path: Path) -> None:
    save_onnx(path, materials.graph, materials.metadata)


def _has_unknown(model: ModelProto) -> bool:
    """Whether the model contains a constant that is not a number."""
    import numpy as np
    from onnx import numpy_helper

    of_nodes = (a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))
    values = (numpy_helper.to_array(tensor) for tensor in (*model.graph.initializer, *of_nodes))
    return any(bool(np.isnan(value).any()) for value in values if np.issubdtype(value.dtype, np.floating))


def _remove_traces_of_the_machine(proto: Any) -> None:
    """Remove stack traces, which contain paths of this machine, and every other note of the exporter."""
    graph = proto.graph
    del proto.metadata_props[:], graph.metadata_props[:]
    for annotated in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del annotated.metadata_props[:]
        annotated.ClearField("doc_string")
    proto.ClearField("doc_string")
    graph.ClearField("doc_string")


def _name_batch_dimension(proto: Any) -> None:
    """Replace the exporter's symbol for the batch dimension by a readable name, in every tensor of the graph."""
    from autonl_core.export.tracing import BATCH

    graph = proto.graph
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    values: Iterable[Any] = (*graph.input, *graph.output, *graph.value_info)
    for value in values:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = BATCH if dim.dim_param == symbol else dim.dim_param.replace(symbol, BATCH)


MEMBER = NetworkFormatSpec(
    name="onnx",
    file_name="model.onnx",
    ending=".onnx",
    summary="float32, batch norms folded, any batch size",
    order=10,
    availability="default",
    prepare=_prepare,
    make=_make,
    opener="onnxruntime",
    usage=_USAGE,
    latency=LatencyForm("ONNX Runtime, float32", open_onnx),
    apps=onnx_apps("model.onnx", INPUT, "normalised"),
)
