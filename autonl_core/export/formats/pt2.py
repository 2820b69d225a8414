"""A program of torch.export, which `torch.export.load` reads."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import NetworkFormatSpec
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    from torch.export import ExportedProgram

    from autonl_core.export.graph import NetworkGraph
    from autonl_core.export.materials import Materials

_USAGE = """\
import torch
network = torch.export.load("model.pt2").module()
logits = network(images)  # torch; needs no code from this bundle"""


def save_pt2(path: Path, program: ExportedProgram) -> None:
    """Write `program` as a .pt2 file."""
    from autonl_core.export.tracing import quiet

    with quiet():
        write_atomically(path, lambda temporary: _save_program(program, temporary))


def _save_program(program: ExportedProgram, path: Path) -> None:
    import torch

    buffer = io.BytesIO()  # given a path, torch insists on the suffix, and aborts the process if the disk is full
    torch.export.save(program, buffer)
    path.write_bytes(buffer.getbuffer())


def _prepare(graph: NetworkGraph) -> None:
    """Load what saving needs."""
    import torch

    from autonl_core.export.tracing import quiet

    with quiet():
        torch.export.save(graph.program, io.BytesIO())


def _make(materials: Materials, path: Path) -> None:
    save_pt2(path, materials.graph.program)


MEMBER = NetworkFormatSpec(
    name="pt2",
    file_name="model.pt2",
    ending=".pt2",
    summary="a torch.export program, any batch size",
    order=30,
    availability="default",
    prepare=_prepare,
    make=_make,
    opener="torch.export",
    usage=_USAGE,
)
