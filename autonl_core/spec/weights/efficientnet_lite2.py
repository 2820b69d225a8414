"""EfficientNet-Lite2, trained on ImageNet."""

from __future__ import annotations

from autonl_core.spec.weights._efficientnet_lite import efficientnet_lite

MEMBER = efficientnet_lite(
    2,
    resolution=260,
    top1_pct=77.6,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    size_bytes=24_666_229,
)
