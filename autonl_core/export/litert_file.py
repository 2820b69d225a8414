"""Files of LiteRT, which apps on Android and iOS run: for one image, float32 in and out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import Extra, Forward, Snippet
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    import numpy as np
    from numpy.typing import NDArray

    from autonl_core.export.graph import NetworkGraph

EXTRA = Extra(
    "litert",
    modules=("litert_torch", "litert_converter", "ai_edge_litert", "ai_edge_quantizer", "jax", "torchao"),
    runtime=("ai-edge-litert",),
    # They ask for packages that these networks do without, one of which wants an older typing-extensions than pydantic.
    without_dependencies=("litert-torch==0.10.0", "litert-converter==0.5.0", "ai-edge-quantizer==0.10.0"),
)


def save_litert(path: Path, graph: NetworkGraph) -> None:
    """Write the network as a .tflite file for one image, (1, 3, R, R) -> (1, classes)."""
    import litert_torch
    import torch

    from autonl_core.export.tracing import silence

    example = (torch.zeros(1, 3, graph.resolution, graph.resolution),)
    with silence():
        converted = litert_torch.convert(graph.network.eval(), example)
        write_atomically(path, lambda temporary: converted.export(str(temporary)))


def quantise_litert(source: Path, target: Path, batches: Iterator[NDArray[np.float32]]) -> None:
    """Quantise a .tflite file to 8 bits: weights per channel, activations per tensor.

    Its input and output stay float32, and so do products of two activations, in LightNL: in 8 bits they take twice the
    time and are less exact.

    Args:
        batches: images to calibrate on, (B, 3, R, R) each.
    """
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    from autonl_core.export.tracing import silence

    with silence():
        quantiser = quantizer.Quantizer(str(source))
        quantiser.load_quantization_recipe(recipe.static_wi8_ai8())
        for kept in (TFLOperationName.INPUT, TFLOperationName.OUTPUT, TFLOperationName.BATCH_MATMUL):
            quantiser.update_quantization_recipe(".*", kept, algorithm_key=AlgorithmName.NO_QUANTIZE)
        images = [{_INPUT: image[None]} for batch in batches for image in batch]
        found = quantiser.calibrate({_SIGNATURE: images}, num_threads=1)
        content = bytes(quantiser.quantize(found).quantized_model)
    write_atomically(target, lambda temporary: temporary.write_bytes(content))


def load_converter(_: NetworkGraph) -> None:
    """Import what `save_litert` needs, which takes seconds."""
    from autonl_core.export.tracing import silence

    with silence():
        import litert_torch

    assert litert_torch


def open_file(path: Path, threads: int) -> Forward:
    """A file for one image as a function of batches."""
    import numpy as np
    import torch
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(str(path), num_threads=threads).get_signature_runner()
    return lambda images: torch.from_numpy(
        np.concatenate([signature(args_0=image[None].numpy())["output_0"] for image in images])
    )


def usage_of(file_name: str) -> str:
    """The snippet of the model card for Python."""
    return f"""\
import numpy
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert
signature = Interpreter("{file_name}").get_signature_runner()
logits = numpy.concatenate([signature(args_0=image[None])["output_0"] for image in images])  # numpy; one by one"""


def apps_of(file_name: str) -> tuple[Snippet, ...]:
    """The snippets of the model card for Android and iOS."""
    return (
        Snippet("kotlin", "Gradle: com.google.ai.edge.litert:litert", _KOTLIN.replace("FILE", file_name)),
        Snippet("swift", "CocoaPods: TensorFlowLiteSwift", _SWIFT.replace("FILE", file_name)),
    )


_SIGNATURE, _INPUT = "serving_default", "args_0"  # as the converter names them
_KOTLIN = """\
val model = CompiledModel.create(pathOf("FILE"), CompiledModel.Options(Accelerator.CPU))  // com.google.ai.edge.litert
val (inputs, outputs) = model.createInputBuffers() to model.createOutputBuffers()
inputs[0].writeFloat(image)  // FloatArray, normalised, channels first
model.run(inputs, outputs)
val logits = outputs[0].readFloat()"""
_SWIFT = """\
let interpreter = try Interpreter(modelPath: path(of: "FILE"))  // import TensorFlowLite
try interpreter.allocateTensors()
try interpreter.copy(image, toInputAt: 0)  // Data of float32, normalised, channels first
try interpreter.invoke()
let logits = try interpreter.output(at: 0).data  // float32"""
