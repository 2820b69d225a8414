"""EfficientNet-Lite0, trained on ImageNet."""

from __future__ import annotations

from autonl_core.spec.weights._efficientnet_lite import efficientnet_lite

MEMBER = efficientnet_lite(
    0,
    resolution=224,
    top1_pct=75.1,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size_bytes=18_826_032,
)
