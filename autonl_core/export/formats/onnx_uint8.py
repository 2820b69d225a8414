"""ONNX that takes pixels as decoders and cameras give them: 8 bits, colours interleaved; it normalises them first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autonl_core.export.format_spec import LatencyForm, NetworkFormatSpec
from autonl_core.export.formats.onnx import INPUT, open_onnx
from autonl_core.export.formats.onnx import MEMBER as ONNX
from autonl_core.export.onnx_apps import onnx_apps
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    from onnx import ModelProto

    from autonl_core.export.materials import Materials

PIXELS = "pixels"
_USAGE = """\
import onnxruntime
session = onnxruntime.InferenceSession("model.uint8.onnx")
logits = session.run(None, {"pixels": pixels})[0]  # numpy, (B, R, R, 3) uint8 RGB; it normalises, you do not"""


def take_pixels(model: ModelProto, preprocess: Mapping[str, Any]) -> ModelProto:
    """`model` with an input of (B, R, R, 3) uint8 RGB, from which its own is computed, as `pixels.py` does.

    Args:
        model: with an input of (B, 3, R, R) float32. It is changed.
        preprocess: with `mean` and `std` per channel, on a scale of 0 to 1.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    batch, channels, height, width = graph.input[0].type.tensor_type.shape.dim
    shape = [dim.dim_param or dim.dim_value for dim in (batch, height, width, channels)]
    offset, scale = (np.array(preprocess[name], dtype=np.float32) * np.float32(255) for name in ("mean", "std"))
    steps = [
        helper.make_node("Cast", [PIXELS], ["pixels_float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels_float", "pixels_offset"], ["pixels_centred"]),
        helper.make_node("Div", ["pixels_centred", "pixels_scale"], ["pixels_scaled"]),
        helper.make_node("Transpose", ["pixels_scaled"], [INPUT], perm=[0, 3, 1, 2]),
    ]
    nodes = [*steps, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, shape))
    constants = {"pixels_offset": offset, "pixels_scale": scale}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def _make(materials: Materials, path: Path) -> None:
    import onnx

    preprocess = materials.metadata["preprocess"]
    assert isinstance(preprocess, Mapping)
    model = take_pixels(onnx.load(materials.folder / ONNX.file_name), preprocess)
    content = model.SerializeToString(deterministic=True)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


MEMBER = NetworkFormatSpec(
    name="onnx-uint8",
    file_name="model.uint8.onnx",
    ending=".uint8.onnx",
    summary="float32 inside, fed 8-bit RGB pixels (B, R, R, 3), which it normalises; any batch size",
    order=15,
    availability="default",
    make=_make,
    opener="onnxruntime",
    input="pixels",
    usage=_USAGE,
    latency=LatencyForm("ONNX Runtime, float32 fed 8-bit pixels", open_onnx),
    apps=onnx_apps("model.uint8.onnx", PIXELS, "pixels"),
)
