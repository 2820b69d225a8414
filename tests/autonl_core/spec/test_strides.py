"""Strides of published networks on small images."""

from __future__ import annotations

import pytest

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import count_macs
from autonl_core.spec.scaling import scale_to_macs
from autonl_core.spec.strides import fit_strides, total_stride, with_total_stride
from autonl_core.spec.zoo import ZOO, adapt

NAMES = sorted(ZOO)


def strides(arch: ArchSpec) -> list[int]:
    return [arch.stem_stride, *(block.stride for block in arch.blocks)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("resolution", [96, 128, 224, 320])
def test_images_of_96_pixels_or_more_keep_them_all(name: str, resolution: int) -> None:
    arch = adapt(ZOO[name].arch, resolution=resolution)
    assert fit_strides(arch) == arch
    assert total_stride(arch) == 32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("resolution", "stride"), [(8, 2), (32, 8), (64, 16), (65, 32)])
def test_smaller_ones_end_on_three_by_three_pixels_or_more(name: str, resolution: int, stride: int) -> None:
    """8 / 2 = 4, 32 / 8 = 4, 64 / 16 = 4, 65 / 32 = 3, rounded up."""
    assert total_stride(fit_strides(adapt(ZOO[name].arch, resolution=resolution))) == stride


def test_the_earliest_are_dropped() -> None:
    """MobileNetV2: a stem of stride 2, then blocks of 1, 2, 2, 2, 1, 2 and 1 by stage."""
    arch = adapt(ZOO["mobilenet_v2"].arch, resolution=32)
    before, after = strides(arch), strides(with_total_stride(arch, 8))
    kept = [place for place, stride in enumerate(after) if stride == 2]
    assert kept == [place for place, stride in enumerate(before) if stride == 2][2:]


def test_nothing_else_changes() -> None:
    arch = adapt(ZOO["mnasnet_a1"].arch, resolution=32)
    fitted = fit_strides(arch)
    assert [(b.in_channels, b.out_channels, b.kernel_size, b.expand_ratio, b.se_ratio) for b in fitted.blocks] == [
        (b.in_channels, b.out_channels, b.kernel_size, b.expand_ratio, b.se_ratio) for b in arch.blocks
    ]


def test_a_network_without_strides_stays_as_it_is() -> None:
    arch = with_total_stride(adapt(ZOO["mobilenet_v2"].arch, resolution=4), 1)
    assert set(strides(arch)) == {1}
    assert fit_strides(arch) == arch


@pytest.mark.parametrize("name", NAMES)
def test_networks_that_are_scaled_to_a_budget_have_strides_that_fit(name: str) -> None:
    scaled = scale_to_macs(ZOO[name].arch, 4_500_000, 32, 10)
    assert total_stride(scaled) == 8
    assert count_macs(scaled).total == pytest.approx(4_500_000, rel=0.03)
