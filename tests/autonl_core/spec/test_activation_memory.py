"""The memory of maps, worked by hand."""

from __future__ import annotations

import pytest

from autonl_core.spec import arch_string
from autonl_core.spec.activation_memory import peak_activation_bytes


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        # stem: 3 x 8 x 8 + 4 x 8 x 8 = 448; block: 4 x 64 twice = 512, with its residual 768; head: (4 + 2) x 64
        ("in8 | cn_k3_s1_c4 | ds_r1_k3_s1_c4 | cn_k1_s1_c2 | fc2", 768),
        # block: 4 x 64 given, 24 x 64 expanded: 1,792; then 24 x 64 and 24 x 16 filtered: 1,920, at stride 2
        ("in8 | cn_k3_s1_c4 | ir_r1_k3_s2_e6_c8 | cn_k1_s1_c2 | fc2", 1920),
        # the head alone: (4 + 90) x 64
        ("in8 | cn_k3_s1_c4 | ds_r1_k3_s1_c4 | cn_k1_s1_c90 | fc2", 6016),
        # LightNL: the residual's 4 x 64, and three maps of 4 x 64
        ("in8 | cn_k3_s1_c4 | ds_r1_k3_s1_c4_nl0.25-1 | cn_k1_s1_c2 | fc2", 1024),
    ],
)
def test_it_is_the_largest_sum_of_maps_that_are_needed_at_once(text: str, numbers: int) -> None:
    assert peak_activation_bytes(arch_string.decode(text)) == 4 * numbers


def test_memory_grows_with_the_resolution_and_weights_do_not_matter() -> None:
    small, large = (
        peak_activation_bytes(arch_string.decode(f"in{pixels} | cn_k3_s1_c4 | ds_r1_k3_s1_c4 | cn_k1_s1_c2 | fc900"))
        for pixels in (8, 16)
    )
    assert large == 4 * small
