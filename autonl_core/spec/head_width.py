"""How wide the head of a result is that comes from pretrained weights.

Published networks have a head of 1,280 channels for 1,000 classes. A few classes need no such head, and the MACs that
it takes are better spent on the blocks: measured, docs/transfer.md.
"""

from __future__ import annotations

from autonl_core.spec.space_families import SpaceFamily

LEAST_PER_CLASS = 16  # channels; ten classes were measured, so a head for many stays as it is
LEAST_TRAINED_IMAGES = 15_000  # as measured; after far fewer, what was cut away was not yet learned again


def head_width(family: SpaceFamily, budget_macs: int, resolution: int, num_classes: int, *, trained_images: int) -> int:
    """The narrowest head with enough channels for the classes, as long as networks that have it can use the budget.

    Args:
        trained_images: passes of single images in the training of the result; after few, the head stays as it is.
    """
    if trained_images < LEAST_TRAINED_IMAGES:
        return family.head_channels
    for width in reversed(family.narrower_heads):
        uses_budget = family.bind(resolution, num_classes, width).macs_range()[1] >= budget_macs
        if uses_budget and width >= LEAST_PER_CLASS * num_classes:
            return width
    return family.head_channels
