"""An ONNX file in eight bits: static quantisation by onnxruntime, calibrated on training images."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.bundle.exporting import INPUT
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import ImageSet
from autonl_core.files import write_atomically

CALIBRATION_IMAGES = 256
_BATCH = 32


def calibration_batches(loader: Loader, train: ImageSet) -> Iterator[NDArray[np.float32]]:
    """Evenly spread training images without augmentation, (B, 3, R, R)."""
    count = min(CALIBRATION_IMAGES, len(train))
    chosen = train.subset(np.linspace(0, len(train) - 1, count).round().astype(np.int64))
    for x, _ in loader.plain(chosen, _BATCH):
        yield np.ascontiguousarray(x.cpu().numpy())


def quantise(source: Path, target: Path, batches: Iterator[NDArray[np.float32]]) -> None:
    """Write `source`, an ONNX file, in eight bits to `target`: weights by channel, activations by tensor."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def get_next(self) -> dict[str, Any] | None:
            batch = next(batches, None)
            return None if batch is None else {INPUT: batch}

    def write(temporary: Path) -> None:
        quantize_static(
            str(source),
            str(temporary),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )

    level = logging.root.level
    logging.root.setLevel(max(level, logging.ERROR))  # it recommends, on the root logger, what was done already
    try:
        write_atomically(target, write)
    finally:
        logging.root.setLevel(level)
