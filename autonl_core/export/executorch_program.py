"""Programs of ExecuTorch, which apps on Android and iOS run: for one image, its operators computed by XNNPACK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import Extra, Forward, Snippet
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    from torch.export import ExportedProgram

    from autonl_core.export.graph import NetworkGraph

EXTRA = Extra("executorch", modules=("executorch", "torchao"), runtime=("executorch",))


def save_executorch(path: Path, program: ExportedProgram) -> None:
    """Write `program` as a .pte file."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from autonl_core.export.tracing import quiet

    with quiet():
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        content = bytes(lowered.to_executorch().buffer)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def load_exporter(_: NetworkGraph) -> None:
    """Import what `save_executorch` needs, which takes seconds."""
    from executorch.backends.xnnpack.partition import xnnpack_partitioner
    from executorch.exir import program

    assert xnnpack_partitioner
    assert program


def open_file(path: Path, threads: int) -> Forward:
    """A program for one image as a function of batches."""
    import torch
    from executorch.extension.pybindings.portable_lib import _threadpool_get_thread_count, _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    if _threadpool_get_thread_count() != threads:  # else, files that are open keep the threads that they have
        _unsafe_reset_threadpool(threads)
    program = Runtime.get().load_program(path)
    method = program.load_method("forward")
    return lambda images: torch.cat([method.execute([image[None].contiguous()])[0].clone() for image in images])


def usage_of(file_name: str) -> str:
    """The snippet of the model card for Python."""
    return f"""\
import torch
from executorch.runtime import Runtime  # pip install executorch
method = Runtime.get().load_program("{file_name}").load_method("forward")
logits = torch.cat([method.execute([image[None]])[0].clone() for image in images])  # torch; one image at a time"""


def apps_of(file_name: str) -> tuple[Snippet, ...]:
    """The snippets of the model card for Android and iOS."""
    return (
        Snippet("kotlin", "Gradle: org.pytorch:executorch-android", _KOTLIN.format(file_name=file_name)),
        Snippet(
            "swift",
            "Swift package executorch: executorch, backend_xnnpack, kernels_optimized, kernels_quantized",
            _SWIFT.format(file_name=file_name),
        ),
    )


_KOTLIN = """\
val module = Module.load(pathOf("{file_name}"))  // org.pytorch.executorch
val input = Tensor.fromBlob(image, longArrayOf(1, 3, R, R))  // FloatArray, normalised, channels first
val logits = module.forward(EValue.from(input))[0].toTensor().dataAsFloatArray"""
_SWIFT = """\
let module = Module(filePath: path(of: "{file_name}"))  // import ExecuTorch
let input = Tensor<Float>(image, shape: [1, 3, R, R])  // [Float], normalised, channels first
let output: Tensor<Float> = try module.forward(input)[0].tensor()!
let logits = output.scalars()"""
