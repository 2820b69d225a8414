"""A skeleton for small images and budgets at which `mobile-32` leaves nothing to choose, or has no network at all."""

from __future__ import annotations

from autonl_core.spec.search_space import StageSpec
from autonl_core.spec.space_families import LATE_STAGE_SE, SpaceFamily

MEMBER = SpaceFamily(
    name="mobile-32-narrow",
    summary="mobile-32 with three quarters of the channels, for budgets that are too small for it",
    resolutions=range(24, 96),
    stem_channels=12,
    stem_stride=1,
    head_channels=192,
    stages=(
        StageSpec(12, 1, 2, fixed=True),
        StageSpec(12, 2, 1),
        StageSpec(24, 4, 2, LATE_STAGE_SE),
        StageSpec(56, 4, 2, LATE_STAGE_SE),
    ),
)
