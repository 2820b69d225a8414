"""A program of ExecuTorch in float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.executorch_program import (
    EXTRA,
    apps_of,
    load_exporter,
    open_file,
    save_executorch,
    usage_of,
)
from autonl_core.export.format_spec import NetworkFormatSpec

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.materials import Materials

_FILE = "model.pte"


def _make(materials: Materials, path: Path) -> None:
    from autonl_core.export.tracing import trace_one

    save_executorch(path, trace_one(materials.graph.network, materials.graph.resolution))


MEMBER = NetworkFormatSpec(
    name="executorch",
    file_name=_FILE,
    ending=".pte",
    summary="for ExecuTorch on Android and iOS: float32, computed by XNNPACK, one image",
    order=45,
    availability="on request",
    prepare=load_exporter,
    make=_make,
    opener=open_file,
    usage=usage_of(_FILE),
    extra=EXTRA,
    apps=apps_of(_FILE),
)
