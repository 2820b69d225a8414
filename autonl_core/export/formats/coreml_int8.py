"""A Core ML package with 8-bit weights that computes in float16, which the Neural Engine does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.coreml_package import EXTRA, OPENER, apps_of, load_converter, save_coreml, usage_of
from autonl_core.export.format_spec import NetworkFormatSpec

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.materials import Materials

_FILE = "model.int8.mlpackage.zip"


def _make(materials: Materials, path: Path) -> None:
    save_coreml(path, materials.graph, materials.metadata, small=True)


MEMBER = NetworkFormatSpec(
    name="coreml-int8",
    file_name=_FILE,
    ending=".int8.mlpackage.zip",
    media_type="application/zip",
    summary="for Core ML on iOS and macOS: 8-bit weights, float16 arithmetic, one image; scored as coreml is",
    order=49,
    availability="on request",
    prepare=load_converter,
    make=_make,
    opener=OPENER,
    usage=usage_of("open_coreml_int8", _FILE),
    lossy=True,
    extra=EXTRA,
    apps=apps_of(_FILE),
)
