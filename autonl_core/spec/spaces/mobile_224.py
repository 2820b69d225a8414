"""The skeleton of the published AutoNL networks."""

from __future__ import annotations

from autonl_core.spec.search_space import StageSpec
from autonl_core.spec.space_families import LATE_STAGE_SE, SpaceFamily

MEMBER = SpaceFamily(
    name="mobile-224",
    summary="the skeleton of the published AutoNL networks, for photographs of 96 to 320 pixels",
    resolutions=range(96, 321),
    stem_channels=32,
    stem_stride=2,
    head_channels=1280,
    stages=(
        StageSpec(16, 1, 1, fixed=True),
        StageSpec(24, 4, 2),
        StageSpec(40, 4, 2),
        StageSpec(80, 4, 2, LATE_STAGE_SE),
        StageSpec(96, 4, 1, LATE_STAGE_SE),
        StageSpec(192, 4, 2, LATE_STAGE_SE),
        StageSpec(320, 1, 1, (0.5, 0.5)),
    ),
)
