"""EfficientNet-Lite1, trained on ImageNet."""

from __future__ import annotations

from autonl_core.spec.weights._efficientnet_lite import efficientnet_lite

MEMBER = efficientnet_lite(
    1,
    resolution=240,
    top1_pct=76.7,
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    size_bytes=21_946_926,
)
