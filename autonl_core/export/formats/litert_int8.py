"""A LiteRT file with 8-bit weights and activations, calibrated on training images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.export.formats.litert import MEMBER as LITERT
from autonl_core.export.litert_file import (
    EXTRA,
    apps_of,
    load_converter,
    open_file,
    quantise_litert,
    save_litert,
    usage_of,
)

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.graph import NetworkGraph
    from autonl_core.export.materials import Materials

_FILE = "model.int8.tflite"


def _prepare(graph: NetworkGraph) -> None:
    import ai_edge_quantizer.quantizer

    assert ai_edge_quantizer
    load_converter(graph)


def _make(materials: Materials, path: Path) -> None:
    """From the file in float32, which is made here if it is not delivered."""
    with tempfile.TemporaryDirectory(prefix="autonl-litert-") as folder:
        source = materials.folder / LITERT.file_name
        if not source.exists():
            source = Path(folder, LITERT.file_name)
            save_litert(source, materials.graph)
        quantise_litert(source, path, materials.calibration())


MEMBER = NetworkFormatSpec(
    name="litert-int8",
    file_name=_FILE,
    ending=".int8.tflite",
    summary="for LiteRT (TensorFlow Lite) on Android and iOS: 8 bits, calibrated on training images, one image",
    order=43,
    availability="on request",
    prepare=_prepare,
    make=_make,
    opener=open_file,
    usage=usage_of(_FILE),
    lossy=True,
    extra=EXTRA,
    apps=apps_of(_FILE),
)
