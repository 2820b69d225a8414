"""A skeleton for small images such as those of CIFAR-10."""

from __future__ import annotations

from autonl_core.spec.search_space import StageSpec
from autonl_core.spec.space_families import LATE_STAGE_SE, SpaceFamily

MEMBER = SpaceFamily(
    name="mobile-32",
    summary="for small images of 24 to 95 pixels: narrow while maps are large, deep at a quarter and an eighth",
    resolutions=range(24, 96),
    stem_channels=16,
    stem_stride=1,
    head_channels=256,
    stages=(
        StageSpec(16, 1, 2, fixed=True),
        StageSpec(16, 3, 1),
        StageSpec(32, 4, 2, LATE_STAGE_SE),
        StageSpec(80, 5, 2, LATE_STAGE_SE),
    ),
)
