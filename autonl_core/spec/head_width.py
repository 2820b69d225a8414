"""How wide the head of a result is that comes from pretrained weights.

Published networks have a head of 1,280 channels for 1,000 classes. A few classes need no such head, and the MACs that
it takes are better spent on the blocks: measured, docs/transfer.md.
"""

from __future__ import annotations

from autonl_core.spec.config_sections import NO_CONSTRAINTS, Constraints
from autonl_core.spec.constraints import missed_by_all
from autonl_core.spec.space_families import SpaceFamily

LEAST_PER_CLASS = 16  # channels; ten classes were measured, so a head for many stays as it is
LEAST_TRAINED_IMAGES = 15_000  # as measured; after far fewer, what was cut away was not yet learned again


def head_width(
    family: SpaceFamily,
    budget_macs: int,
    resolution: int,
    num_classes: int,
    *,
    trained_images: int,
    constraints: Constraints = NO_CONSTRAINTS,
) -> int:
    """The narrowest head with enough channels for the classes, as long as networks that have it can use the budget.

    Args:
        trained_images: passes of single images in the training of the result; after few, the head stays as it is,
            unless the constraints ask for a narrower one.
    """
    narrower = [width for width in family.narrower_heads if width >= LEAST_PER_CLASS * num_classes]
    spaces = {width: family.bind(resolution, num_classes, width) for width in (*narrower, family.head_channels)}
    met = [width for width, space in spaces.items() if not missed_by_all(constraints, space)]
    using = [width for width in met if spaces[width].macs_range()[1] >= budget_macs]
    if trained_images < LEAST_TRAINED_IMAGES:
        return max(met, default=family.head_channels)
    return min(using, default=max(met, default=family.head_channels))


def narrowest_head(family: SpaceFamily, num_classes: int) -> int:
    """That suits so many classes."""
    suited = [width for width in family.narrower_heads if width >= LEAST_PER_CLASS * num_classes]
    return min(suited, default=family.head_channels)
