"""ONNX with 8-bit weights and activations: static quantisation by ONNX Runtime, calibrated on training images."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autonl_core.export.format_spec import LatencyForm, NetworkFormatSpec
from autonl_core.export.formats.onnx import INPUT, open_onnx
from autonl_core.export.formats.onnx import MEMBER as ONNX
from autonl_core.export.onnx_age import make_old
from autonl_core.export.onnx_apps import onnx_apps
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    import numpy as np
    from numpy.typing import NDArray

    from autonl_core.export.graph import NetworkGraph
    from autonl_core.export.materials import Materials

_OPSET = 13  # the first that quantises per channel
_USAGE = """\
import onnxruntime
session = onnxruntime.InferenceSession("model.int8.onnx")
logits = session.run(None, {"images": images})[0]  # numpy, float32 in and out"""


def quantise(source: Path, target: Path, batches: Iterator[NDArray[np.float32]]) -> None:
    """Quantise the ONNX file `source` to 8 bits: weights per channel, activations per tensor."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def get_next(self) -> dict[str, Any] | None:
            batch = next(batches, None)
            return None if batch is None else {INPUT: batch}

    model = onnx.load(source)
    (opset,) = model.opset_import
    opset.version = max(opset.version, _OPSET)  # its nodes mean the same there

    def write(temporary: Path) -> None:
        quantize_static(
            model,
            str(temporary),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantised = onnx.load(temporary)
        make_old(quantised, at_least=_OPSET)
        temporary.write_bytes(quantised.SerializeToString(deterministic=True))

    level = logging.root.level
    logging.root.setLevel(max(level, logging.ERROR))  # it recommends preprocessing, which was already done
    try:
        write_atomically(target, write)
    finally:
        logging.root.setLevel(level)


def _prepare(_: NetworkGraph) -> None:
    """Load what quantises."""
    import onnxruntime.quantization

    assert onnxruntime.quantization


def _make(materials: Materials, path: Path) -> None:
    quantise(materials.folder / ONNX.file_name, path, materials.calibration())


MEMBER = NetworkFormatSpec(
    name="onnx-int8",
    file_name="model.int8.onnx",
    ending=".int8.onnx",
    summary="8-bit weights and activations, calibrated on training images, any batch size",
    order=20,
    availability="default",
    prepare=_prepare,
    make=_make,
    opener="onnxruntime",
    usage=_USAGE,
    lossy=True,
    latency=LatencyForm("ONNX Runtime, 8 bits", open_onnx),
    apps=onnx_apps("model.int8.onnx", INPUT, "normalised"),
)
