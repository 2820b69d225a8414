"""The skeleton of EfficientNet-Lite0, in which its published weights can start."""

from __future__ import annotations

from autonl_core.spec.search_space import StageSpec
from autonl_core.spec.space_families import SpaceFamily

MEMBER = SpaceFamily(
    name="lite",
    summary="the skeleton of EfficientNet-Lite0, without squeeze-excite, for photographs of 64 to 320 pixels",
    resolutions=range(64, 321),
    stem_channels=32,
    stem_stride=2,
    head_channels=1280,
    stages=(
        StageSpec(16, 1, 1, fixed=True),
        StageSpec(24, 2, 2),
        StageSpec(40, 2, 2),
        StageSpec(80, 3, 2),
        StageSpec(112, 3, 1),
        StageSpec(192, 4, 2),
        StageSpec(320, 1, 1),
    ),
    expand_ratios=(2, 3, 4, 6),
    padding="same",
    activation="relu6",
    on_request=True,
    narrower_heads=(640, 320),
)
