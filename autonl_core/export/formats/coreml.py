"""A Core ML package in float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.coreml_package import EXTRA, OPENER, apps_of, load_converter, save_coreml, usage_of
from autonl_core.export.format_spec import NetworkFormatSpec

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.materials import Materials

_FILE = "model.mlpackage.zip"


def _make(materials: Materials, path: Path) -> None:
    save_coreml(path, materials.graph, materials.metadata, small=False)


MEMBER = NetworkFormatSpec(
    name="coreml",
    file_name=_FILE,
    ending=".mlpackage.zip",
    media_type="application/zip",
    summary="for Core ML on iOS and macOS: float32, one image; scored by Core ML on a Mac only, elsewhere by PyTorch",
    order=48,
    availability="on request",
    prepare=load_converter,
    make=_make,
    opener=OPENER,
    usage=usage_of("open_coreml", _FILE),
    extra=EXTRA,
    apps=apps_of(_FILE),
)
