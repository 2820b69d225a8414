"""A LiteRT file in float32, as TensorFlow Lite is called now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.export.litert_file import EXTRA, apps_of, load_converter, open_file, save_litert, usage_of

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.materials import Materials

_FILE = "model.tflite"


def _make(materials: Materials, path: Path) -> None:
    save_litert(path, materials.graph)


MEMBER = NetworkFormatSpec(
    name="litert",
    file_name=_FILE,
    ending=".tflite",
    summary="for LiteRT (TensorFlow Lite) on Android and iOS: float32, one image",
    order=42,
    availability="on request",
    prepare=load_converter,
    make=_make,
    opener=open_file,
    usage=usage_of(_FILE),
    extra=EXTRA,
    apps=apps_of(_FILE),
)
