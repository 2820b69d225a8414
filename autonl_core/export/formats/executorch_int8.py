"""A program of ExecuTorch with 8-bit weights and activations, calibrated on training images."""

from __future__ import annotations

from collections.abc import Iterator
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
    import numpy as np
    from numpy.typing import NDArray
    from torch.export import ExportedProgram

    from autonl_core.export.graph import NetworkGraph
    from autonl_core.export.materials import Materials

_FILE = "model.int8.pte"


def quantised(graph: NetworkGraph, batches: Iterator[NDArray[np.float32]]) -> ExportedProgram:
    """The program of the network for one image, in 8 bits: weights per channel, activations per tensor.

    Args:
        batches: images to calibrate on, (B, 3, R, R) each.
    """
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from autonl_core.export.tracing import quiet, trace_one

    quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    with quiet(), torch.no_grad():
        observed = prepare_pt2e(trace_one(graph.network, graph.resolution).module(), quantiser)
        for batch in batches:
            for image in torch.from_numpy(batch):
                observed(image[None])
        return trace_one(convert_pt2e(observed), graph.resolution)


def _prepare(graph: NetworkGraph) -> None:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e import quantize_pt2e

    assert xnnpack_quantizer
    assert quantize_pt2e
    load_exporter(graph)


def _make(materials: Materials, path: Path) -> None:
    save_executorch(path, quantised(materials.graph, materials.calibration()))


MEMBER = NetworkFormatSpec(
    name="executorch-int8",
    file_name=_FILE,
    ending=".int8.pte",
    summary="for ExecuTorch on Android and iOS: 8 bits, calibrated on training images, computed by XNNPACK, one image",
    order=46,
    availability="on request",
    prepare=_prepare,
    make=_make,
    opener=open_file,
    usage=usage_of(_FILE),
    lossy=True,
    extra=EXTRA,
    apps=apps_of(_FILE),
)
