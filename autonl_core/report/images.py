"""Images of the dataset as `data:` URIs, small enough that one page can hold many."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from autonl_core.report.facts import Image

PIXELATED = 48  # pixels; images up to this side are shown unscaled, with square pixels
_SIDE = 96  # pixels, of larger images after scaling


def image_uri(image: Image) -> str:
    """One image: as PNG, or, above 48 pixels, scaled to a JPEG of 96."""
    return strip_uri([image])


def strip_uri(images: Sequence[Image]) -> str:
    """Images side by side, with a white gap between them."""
    side = images[0].shape[0]
    shown = [image if side <= PIXELATED else _reduced(image) for image in images]
    side = shown[0].shape[0]
    gap = max(1, side // 16)
    strip = np.full((side, len(shown) * (side + gap) - gap, 3), 255, dtype=np.uint8)
    for place, image in enumerate(shown):
        strip[:, place * (side + gap) : place * (side + gap) + side] = image
    out, kind = io.BytesIO(), "png" if side <= PIXELATED else "jpeg"
    Pillow.fromarray(strip).save(out, kind, **({"optimize": True} if kind == "png" else {"quality": 75}))
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


def _reduced(image: Image) -> Image:
    side = min(_SIDE, image.shape[0])
    return np.asarray(Pillow.fromarray(image).resize((side, side), Pillow.Resampling.BOX))
