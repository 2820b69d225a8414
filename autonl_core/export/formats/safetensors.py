"""The checkpoint itself: weights and metadata in one file that holds no code. All other formats are compared to it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from autonl_core.export.format_spec import NetworkFormatSpec

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.materials import Materials

_USAGE = """\
import model
network = model.load("arch.json", "model.safetensors")
logits = network(images)  # torch, (B, 3, R, R) float32 -> (B, classes)"""


def copy_checkpoint(materials: Materials, path: Path) -> None:
    """Copy the checkpoint as the search wrote it."""
    shutil.copyfile(materials.checkpoint, path)


MEMBER = NetworkFormatSpec(
    name="safetensors",
    file_name="model.safetensors",
    ending=".safetensors",
    summary="weights, architecture, preprocessing and labels, without code",
    order=0,
    availability="always",
    make=copy_checkpoint,
    opener="model.py",
    usage=_USAGE,
)
