"""The files of a bundle's formats, made from its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonl_core.bundle.files import model
from autonl_core.errors import AutonlError, is_out_of_memory
from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.export.materials import Materials
from autonl_core.export.tracing import trace
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat

CERTIFIED: NetworkFormat = "onnx"  # made by every search: the budget certificate counts its graph


def make_formats(
    folder: Path,
    checkpoint: Path,
    formats: Sequence[NetworkFormat],
    metadata: Mapping[str, object],
    calibration: Callable[[], Iterator[NDArray[np.float32]]],
    still_wanted: Callable[[], None] = lambda: None,
) -> dict[NetworkFormat, str]:
    """Write `formats`, and those that are always made, into `folder`; returns those that failed, with the reason.

    Args:
        folder: of the bundle, with arch.json and preprocess.json.
        checkpoint: safetensors file of the network.
        still_wanted: called between formats; raises Interrupted if the search should stop.

    Raises:
        Interrupted: the search was asked to stop.
        Exception: the checkpoint cannot be traced or exported to ONNX: without a graph there is no certificate.
    """
    fused = model.fuse(model.load(folder / "arch.json", checkpoint))
    arch = json.loads((folder / "arch.json").read_text(encoding="utf-8"))
    resolution: int = arch["resolution"]
    materials = Materials(checkpoint, fused, trace(fused, resolution), resolution, metadata, folder, calibration)
    still_wanted()
    failed: dict[NetworkFormat, str] = {}
    for name, spec in NETWORK_FORMAT_SPECS.items():
        required = name == CERTIFIED or spec.availability == "always"
        if required or name in formats:
            reason = _make(spec, materials, required=required)
            if reason is not None:
                failed[name] = reason
            still_wanted()
    return failed


def _make(spec: NetworkFormatSpec, materials: Materials, *, required: bool) -> str | None:
    """Write one format; returns why it cannot be made, which leaves the other formats unaffected."""
    path = materials.folder / spec.file_name
    try:
        spec.make(materials, path)
    except Exception as error:
        if required or is_out_of_memory(error) or isinstance(error, OSError | AutonlError):
            raise  # nothing can do without this format, or it is not at fault
        path.unlink(missing_ok=True)  # whatever was written before the error
        return f"it cannot be made: {type(error).__name__}: {str(error)[:300]}"
    return None
