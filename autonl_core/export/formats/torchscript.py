"""TorchScript, which `torch.jit.load` reads. PyTorch has deprecated it, and warns at every use."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    from torch import nn

    from autonl_core.export.materials import Materials

_USAGE = """\
import torch
network = torch.jit.load("model.torchscript.pt")
logits = network(images)  # torch; PyTorch has deprecated this format"""


def save_torchscript(path: Path, network: nn.Module, resolution: int) -> None:
    """Write `network`, traced on a batch of images of `resolution` pixels."""
    import torch

    from autonl_core.export.tracing import quiet

    example = torch.zeros(2, 3, resolution, resolution)
    with quiet(), torch.no_grad():
        # Sizes become constants of the trace, which is intended.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # missing in the stub
        traced = torch.jit.freeze(torch.jit.trace(network, example))
        buffer = io.BytesIO()  # given a path, torch would write the temporary file name into the file
        torch.jit.save(traced, buffer)
    write_atomically(path, lambda temporary: _copy_without_debug_records(buffer, temporary))


def _copy_without_debug_records(saved: io.BytesIO, target: Path) -> None:
    """Copy a TorchScript archive without its debug records: stack traces that contain paths of this machine."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as kept:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                kept.writestr(zipfile.ZipInfo(name), source.read(name))


def _make(materials: Materials, path: Path) -> None:
    save_torchscript(path, materials.graph.network, materials.graph.resolution)


MEMBER = NetworkFormatSpec(
    name="torchscript",
    file_name="model.torchscript.pt",
    ending=".torchscript.pt",
    summary="for old runtimes; deprecated by PyTorch",
    order=40,
    availability="on request",
    make=_make,
    opener="torch.jit",
    usage=_USAGE,
)
