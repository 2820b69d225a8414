"""The trained network in every format that a search asked for: in a process of its own if one is ready, else here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from autonl_core.bundle.export_process import ExportRequest, export_in_process
from autonl_core.bundle.formats import make_formats
from autonl_core.bundle.scoring import without_file
from autonl_core.data.batches import BatchSource
from autonl_core.data.prepare import ImageSet
from autonl_core.nn.network import Network
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.result import FormatParity

CALIBRATION_IMAGES = 256
_CALIBRATION_BATCH = 32


def export_network(
    run: SearchRun, folder: Path, checkpoint: Path, network: Network, meanwhile: Callable[[], None] = lambda: None
) -> dict[NetworkFormat, FormatParity]:
    """Write the network into `folder` in every format; returns the formats that could not be made, with the reason.

    Args:
        folder: of the bundle, with arch.json and preprocess.json.
        checkpoint: safetensors file of `network`.
        meanwhile: called while another process exports; not at all otherwise.

    Raises:
        Interrupted: the search was asked to stop.
        Exception: the checkpoint cannot be traced or exported to ONNX: without a graph there is no certificate.
    """

    def calibration() -> Iterator[NDArray[np.float32]]:
        for batch in calibration_batches(run.loader, run.data.train):
            run.still_wanted()
            yield batch

    metadata = _metadata(run, folder, network)
    formats, failed = run.config.export.formats, None
    if run.export_process.started:
        request = ExportRequest(
            str(folder.resolve()),
            str(checkpoint.resolve()),
            formats,
            metadata,
            _CALIBRATION_BATCH,
            torch.get_num_threads(),
        )
        failed = export_in_process(
            run.export_process, request, run.work_dir, calibration, meanwhile=meanwhile, still_wanted=run.still_wanted
        )
    if failed is None:  # there is none, or it failed: what is wrong, if anything is, is raised here
        failed = make_formats(folder, checkpoint, formats, metadata, calibration, run.still_wanted)
    return {name: without_file(reason) for name, reason in failed.items()}


def _metadata(run: SearchRun, folder: Path, network: Network) -> dict[str, object]:
    preprocess = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))
    return {"arch_id": network.arch.arch_id, "classes": list(run.dataset.classes), "preprocess": preprocess}


def calibration_batches(loader: BatchSource, train: ImageSet) -> Iterator[NDArray[np.float32]]:
    """Evenly spaced training images without augmentation, in batches (B, 3, R, R)."""
    count = min(CALIBRATION_IMAGES, len(train))
    chosen = train.subset(np.linspace(0, len(train) - 1, count).round().astype(np.int64))
    for x, _ in loader.plain(chosen, _CALIBRATION_BATCH):
        yield np.ascontiguousarray(x.cpu().numpy())
