"""The network as programs for other runtimes, all made from the bundle's own model.py with batch norms folded."""

from __future__ import annotations

import io
import json
import logging
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from autonl_core.bundle.files import model
from autonl_core.files import write_atomically

OPSET = 20
INPUT, OUTPUT, BATCH = "images", "logits", "batch"


def trace(network: model.Network, resolution: int) -> ExportedProgram:
    """The program of `network` for any batch size, (B, 3, R, R) -> (B, classes)."""
    example = torch.zeros(2, 3, resolution, resolution)  # two: a size of one would be taken for a constant
    with quiet(), torch.no_grad():
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim(BATCH)},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


def save_pt2(path: Path, program: ExportedProgram) -> None:
    """Write a .pt2 file, which `torch.export.load` reads."""
    with quiet():
        write_atomically(path, lambda temporary: _save_program(program, temporary))


def save_torchscript(path: Path, network: model.Network, resolution: int) -> None:
    """Write a TorchScript file, which `torch.jit.load` reads. PyTorch has deprecated it, and says so at every use."""
    example = torch.zeros(2, 3, resolution, resolution)
    with quiet(), torch.no_grad():
        # It warns of sizes that it takes for constants, which they are.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # missing in the stub
        traced = torch.jit.freeze(torch.jit.trace(network, example))
        buffer = io.BytesIO()  # given a path, it would write its name, a temporary one, into the file
        torch.jit.save(traced, buffer)
    write_atomically(path, lambda temporary: _without_debugging(buffer, temporary))


def save_onnx(path: Path, program: ExportedProgram, facts: Mapping[str, Any]) -> None:
    """Write an ONNX file of opset OPSET, with `facts` as its metadata and nothing about the machine it was made on."""
    with quiet():
        made = torch.onnx.export(
            program, (), dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    assert made is not None
    proto = made.model_proto
    _forget_the_machine(proto)
    _name_batch(proto)
    for name, value in facts.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)
    write_atomically(path, lambda temporary: _write(temporary, proto.SerializeToString(deterministic=True)))


def _save_program(program: ExportedProgram, path: Path) -> None:
    buffer = io.BytesIO()  # given a path, torch insists on the suffix, and on a full disk ends the process
    torch.export.save(program, buffer)
    path.write_bytes(buffer.getbuffer())


def _without_debugging(saved: io.BytesIO, target: Path) -> None:
    """Copy a TorchScript archive but for its debugging records, which are stack traces with paths of this machine."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as kept:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                kept.writestr(zipfile.ZipInfo(name), source.read(name))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _forget_the_machine(proto: Any) -> None:
    """Remove stack traces with paths of this machine, and everything else that the exporter notes for itself."""
    graph = proto.graph
    del proto.metadata_props[:], graph.metadata_props[:]
    for noted in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]
        noted.ClearField("doc_string")
    proto.ClearField("doc_string")
    graph.ClearField("doc_string")


def _name_batch(proto: Any) -> None:
    """Call the free dimension of input, output and all between by its name, not by the exporter's symbol."""
    graph = proto.graph
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in _values(graph):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = BATCH if dim.dim_param == symbol else dim.dim_param.replace(symbol, BATCH)


def _values(graph: Any) -> Iterable[Any]:
    return (*graph.input, *graph.output, *graph.value_info)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporters say about themselves: deprecations inside of torch, operators of other packages."""
    chatty = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in chatty]
    for logger in chatty:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)
