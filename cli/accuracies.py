"""Accuracies on validation images, with as many digits as so few images can bear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autonl_core.wording.counts import counted


def validation_text(search: Mapping[str, Any]) -> str | None:
    """What the best network so far scores, and on how many images: "92% of about 13 validation images".

    None: it was not measured yet.
    """
    best, images = search["best"], search.get("val_images")
    if best is None or best["val_top1_pct"] is None:
        return None
    if images is None:  # of an earlier service
        return f"{best['val_top1_pct']:.1f}% of the validation images"
    return f"{validation_pct(best['val_top1_pct'], images)} of about {counted(images, 'validation image')}"


def validation_pct(top1_pct: float, images: int) -> str:
    """Without digits that are less than one of the images."""
    digits = sum(images >= least for least in (100, 1_000))
    return f"{top1_pct:.{digits}f}%"
