"""The width of the head of a result from pretrained weights, worked by hand."""

from __future__ import annotations

import pytest

from autonl_core.spec.head_width import head_width
from autonl_core.spec.space_families import SPACES, SpaceFamily

LITE = SPACES.get("lite")


def width_of(family: SpaceFamily, budget_macs: int, resolution: int, num_classes: int) -> int:
    """The width after a training that is long enough."""
    return head_width(family, budget_macs, resolution, num_classes, trained_images=15_000)


def test_after_a_short_training_it_stays_as_it_is() -> None:
    assert head_width(LITE, 20_000_000, 64, 10, trained_images=14_999) == 1280


@pytest.mark.parametrize(("num_classes", "width"), [(20, 320), (21, 640), (40, 640), (41, 1280), (1000, 1280)])
def test_many_classes_keep_a_wide_one(num_classes: int, width: int) -> None:
    assert width_of(LITE, 20_000_000, 64, num_classes) == width


def test_networks_with_it_can_use_the_budget() -> None:
    (_, with_320), (_, with_640), (_, most) = (LITE.bind(64, 10, width).macs_range() for width in (320, 640, 1280))
    assert with_320 < with_640 < most
    widths = {macs: width_of(LITE, macs, 64, 10) for macs in (with_320, with_320 + 1, with_640, with_640 + 1, most)}
    assert list(widths.values()) == [320, 640, 640, 1280, 1280]


def test_what_it_saves_is_that_of_the_formula() -> None:
    # maps of 2 x 2 at the head, fed by 320 channels: 960 channels less in the convolution, the mean and the classifier
    smallest, narrowest = (LITE.bind(64, 10, width).macs_range()[0] for width in (1280, 320))
    assert smallest - narrowest == 960 * (320 * 4 + 4 + 10)


def test_spaces_without_a_choice_keep_theirs() -> None:
    assert width_of(SPACES.get("mobile-224"), 100_000_000, 128, 2) == 1280
