"""What network formats are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonl_core.export.graph import NetworkGraph


@dataclass(frozen=True)
class Materials:
    """One trained network in every shape that a format may start from. R is its resolution in pixels.

    Args:
        checkpoint: the safetensors file that the search wrote.
        graph: of the network of the bundle's model.py with these weights, batch norms folded; (B, 3, R, R) float32 to
            (B, classes) logits.
        metadata: arch_id, classes and preprocessing, for formats that can carry them.
        folder: the bundle's folder, with the files of all formats made so far.
        calibration: a fresh pass over a few training images without augmentation, in batches (B, 3, R, R).
    """

    checkpoint: Path
    graph: NetworkGraph
    metadata: Mapping[str, object]
    folder: Path
    calibration: Callable[[], Iterator[NDArray[np.float32]]]
