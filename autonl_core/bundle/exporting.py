"""The trained network in every format that a search asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonl_core.bundle.files import model
from autonl_core.bundle.scoring import without_file
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import ImageSet
from autonl_core.errors import AutonlError, is_out_of_memory
from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.export.materials import Materials
from autonl_core.export.tracing import trace
from autonl_core.nn.network import Network
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.result import FormatParity

CERTIFIED: NetworkFormat = "onnx"  # made by every search: the budget certificate counts its graph
CALIBRATION_IMAGES = 256
_CALIBRATION_BATCH = 32


def export_network(
    run: SearchRun, folder: Path, checkpoint: Path, network: Network, still_wanted: Callable[[], None]
) -> dict[NetworkFormat, FormatParity]:
    """Write the network into `folder` in every format; returns the formats that could not be made, with the reason.

    Args:
        folder: of the bundle, with arch.json and preprocess.json.
        checkpoint: safetensors file of `network`.
        still_wanted: called between formats; raises Interrupted if the search should stop.

    Raises:
        Interrupted: the search was asked to stop.
        Exception: the checkpoint cannot be traced or exported to ONNX: without a graph there is no certificate.
    """
    materials = _gather(run, folder, checkpoint, network, still_wanted)
    still_wanted()
    failed: dict[NetworkFormat, FormatParity] = {}
    for name, spec in NETWORK_FORMAT_SPECS.items():
        required = name == CERTIFIED or spec.availability == "always"
        if required or name in run.config.export.formats:
            reason = _make(spec, materials, required=required)
            if reason is not None:
                failed[name] = without_file(reason)
            still_wanted()
    return failed


def calibration_batches(loader: Loader, train: ImageSet) -> Iterator[NDArray[np.float32]]:
    """Evenly spaced training images without augmentation, in batches (B, 3, R, R)."""
    count = min(CALIBRATION_IMAGES, len(train))
    chosen = train.subset(np.linspace(0, len(train) - 1, count).round().astype(np.int64))
    for x, _ in loader.plain(chosen, _CALIBRATION_BATCH):
        yield np.ascontiguousarray(x.cpu().numpy())


def _gather(
    run: SearchRun, folder: Path, checkpoint: Path, network: Network, still_wanted: Callable[[], None]
) -> Materials:
    fused = model.fuse(model.load(folder / "arch.json", checkpoint))
    resolution = network.arch.resolution

    def calibration() -> Iterator[NDArray[np.float32]]:
        for batch in calibration_batches(run.loader, run.data.train):
            still_wanted()
            yield batch

    return Materials(
        checkpoint=checkpoint,
        network=fused,
        program=trace(fused, resolution),
        resolution=resolution,
        metadata={
            "arch_id": network.arch.arch_id,
            "classes": list(run.dataset.classes),
            "preprocess": json.loads((folder / "preprocess.json").read_text(encoding="utf-8")),
        },
        folder=folder,
        calibration=calibration,
    )


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
