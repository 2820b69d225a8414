"""From sums of parts to whole networks."""

from __future__ import annotations

import pytest

from autonl_core.device_table.calibration import calibration_networks, fit
from autonl_core.spec.macs import count_macs
from autonl_core.spec.space_families import get_space, require_space


def test_overhead_and_scale_are_found_again_in_spite_of_an_outlier() -> None:
    sums_ns = [200_000.0 * (place + 1) for place in range(9)]
    measured_ns = [round(-30_000 + 1.1 * each) for each in sums_ns]
    measured_ns[4] *= 2  # disturbed
    overhead_ns, scale = fit(sums_ns, measured_ns)
    assert overhead_ns == pytest.approx(-30_000, abs=3_000)
    assert scale == pytest.approx(1.1, abs=0.02)


def test_networks_reach_from_the_smallest_to_the_largest_with_all_depths_and_heads_between() -> None:
    family = require_space("lite")
    spaces = [family.bind(64, 10, head) for head in (family.head_channels, *family.narrower_heads)]
    networks = calibration_networks(spaces, 15)
    macs = [count_macs(arch).total for arch in networks]
    assert (min(macs), max(macs)) == (count_macs(spaces[-1].smallest()).total, spaces[0].macs_range()[1])
    assert {arch.head_channels for arch in networks} == {1280, 640, 320}
    assert len({len(arch.blocks) for arch in networks}) >= 5
    assert all(any(space.contains(arch) for space in spaces) for arch in networks)
    assert networks == calibration_networks(spaces, 15)
    assert get_space("lite", 64, 10).macs_range()[1] == max(macs)
