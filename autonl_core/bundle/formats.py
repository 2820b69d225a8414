"""The files of a bundle's formats, made from its checkpoint."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autonl_core.bundle.files import model
from autonl_core.errors import AutonlError, is_out_of_memory
from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.export.graph import NetworkGraph
from autonl_core.export.materials import Materials
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat

CERTIFIED: NetworkFormat = "onnx"  # made by every search: the budget certificate counts its graph


def prepare_graph(arch: Mapping[str, Any], formats: Sequence[NetworkFormat]) -> NetworkGraph:
    """All that `make_formats` needs no weights for: the graph of an architecture, converted.

    Args:
        arch: as in arch.json.
    """
    with torch.device("meta"):
        network = model.Network(dict(arch))
    fused = model.fuse(network.eval().requires_grad_(False)).to_empty(device="cpu")
    graph = NetworkGraph(fused, arch["resolution"])
    for spec in _made(formats):
        if spec.prepare is not None:
            # If a format that others can do without fails here, so does its `make`, whose error is reported.
            with contextlib.nullcontext() if _is_required(spec) else contextlib.suppress(Exception):
                spec.prepare(graph)
    return graph


def make_formats(
    folder: Path,
    checkpoint: Path,
    formats: Sequence[NetworkFormat],
    metadata: Mapping[str, object],
    calibration: Callable[[], Iterator[NDArray[np.float32]]],
    still_wanted: Callable[[], None] = lambda: None,
    graph: NetworkGraph | None = None,
) -> dict[NetworkFormat, str]:
    """Write `formats`, and those that are always made, into `folder`; returns those that failed, with the reason.

    Args:
        folder: of the bundle, with arch.json and preprocess.json.
        checkpoint: safetensors file of the network.
        still_wanted: called between formats; raises Interrupted if the search should stop.
        graph: of the architecture for these formats, if it was made ahead. The files are the same without: always, the
            graph is converted first and filled then, since exporters merge weights that are equal.

    Raises:
        Interrupted: the search was asked to stop.
        Exception: the network cannot be traced or exported to ONNX: without a graph there is no certificate.
    """
    arch_file = folder / "arch.json"
    graph = graph or prepare_graph(json.loads(arch_file.read_text(encoding="utf-8")), formats)
    graph.fill(model.fuse(model.load(arch_file, checkpoint)).state_dict())
    materials = Materials(checkpoint, graph, metadata, folder, calibration)
    still_wanted()
    failed: dict[NetworkFormat, str] = {}
    for spec in _made(formats):
        reason = _make(spec, materials)
        if reason is not None:
            failed[spec.name] = reason
        still_wanted()
    return failed


def _made(formats: Sequence[NetworkFormat]) -> list[NetworkFormatSpec]:
    """`formats`, and those that are always made, in the order in which they are."""
    return [spec for name, spec in NETWORK_FORMAT_SPECS.items() if _is_required(spec) or name in formats]


def _is_required(spec: NetworkFormatSpec) -> bool:
    return spec.name == CERTIFIED or spec.availability == "always"


def _make(spec: NetworkFormatSpec, materials: Materials) -> str | None:
    """Write one format; returns why it cannot be made, which leaves the other formats unaffected."""
    path = materials.folder / spec.file_name
    try:
        spec.make(materials, path)
    except Exception as error:
        if _is_required(spec) or is_out_of_memory(error) or isinstance(error, OSError | AutonlError):
            raise  # nothing can do without this format, or it is not at fault
        path.unlink(missing_ok=True)  # whatever was written before the error
        return f"it cannot be made: {type(error).__name__}: {str(error)[:300]}"
    return None
