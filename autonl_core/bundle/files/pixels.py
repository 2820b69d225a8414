"""From an image file to the input of the network, with numpy and pillow: the code that training decodes with.

`preprocess.json` says the same in words and values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import read_image
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import as_grey_range

Preprocess = Mapping[str, Any]  # the content of preprocess.json


def decode(content: bytes, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The pixels of an image file: upright, RGB, the centre square, scaled; (R, R, 3) uint8.

    Raises:
        ValueError: the image cannot be read, or is too large; says why.
    """
    most_bytes = preprocess["max_image_bytes"]
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes:,} bytes")
    limits = Limits(image_bytes=most_bytes, image_pixels=preprocess["max_image_pixels"])
    grey_range = as_grey_range(preprocess.get("grey_range"))
    found = read_image(content, preprocess["resolution"], limits, grey_range=grey_range)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def normalise(pixels: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """(B, R, R, 3) uint8 -> (B, 3, R, R) float32 with mean 0 and standard deviation 1 per channel."""
    mean, std = (np.array(preprocess[name], dtype=np.float32) * np.float32(255) for name in ("mean", "std"))
    scaled: NDArray[np.float32] = (pixels.astype(np.float32) - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
