"""A skeleton of a few thousand weights: for tests, and for thumbnails."""

from __future__ import annotations

from autonl_core.spec.search_space import StageSpec
from autonl_core.spec.space_families import LATE_STAGE_SE, SpaceFamily

MEMBER = SpaceFamily(
    name="tiny",
    summary="for tests and thumbnails of 8 to 23 pixels",
    resolutions=range(8, 24),
    stem_channels=16,
    stem_stride=1,
    head_channels=128,
    stages=(
        StageSpec(16, 1, 1, fixed=True),
        StageSpec(24, 2, 2),
        StageSpec(40, 2, 2, LATE_STAGE_SE),
    ),
)
