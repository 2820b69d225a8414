"""Width multipliers: the published ones reproduce published networks, and every budget in the mobile range is met."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autonl_core.errors import BudgetError
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.scaling import scale_to_macs, scale_width
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.sample_architectures import block, network

PLAIN = [name for name in ZOO if not name.startswith("autonl")]
MOBILE_MACS = st.integers(20_000_000, 600_000_000)


@pytest.mark.parametrize(
    ("name", "multiplier", "millions_of_macs", "millions_of_params"),
    [  # as published: MobileNetV2's model table, MobileNetV3 table 3
        ("mobilenet_v2", 1.4, 582, 6.06),
        ("mobilenet_v2", 1.3, 509, 5.34),
        ("mobilenet_v2", 0.75, 209, 2.61),
        ("mobilenet_v2", 0.5, 97, 1.95),
        ("mobilenet_v2", 0.35, 59, 1.66),
        ("mobilenet_v3_large", 0.75, 155, 4.0),
    ],
)
def test_published_multipliers_give_published_networks(
    name: str, multiplier: float, millions_of_macs: float, millions_of_params: float
) -> None:
    arch = scale_width(ZOO[name].arch, multiplier)
    assert count_macs(arch).total / 1e6 == pytest.approx(millions_of_macs, rel=0.01)
    assert count_params(arch) / 1e6 == pytest.approx(millions_of_params, rel=0.02)


@pytest.mark.parametrize("name", ZOO)
def test_a_multiplier_of_one_changes_nothing(name: str) -> None:
    assert scale_width(ZOO[name].arch, 1.0) == ZOO[name].arch


@pytest.mark.parametrize("name", PLAIN)
@settings(max_examples=4)
@given(macs=MOBILE_MACS)
@example(macs=20_000_000)
@example(macs=600_000_000)
def test_every_target_of_the_mobile_range_is_met_within_three_percent(name: str, macs: int) -> None:
    assert_met(name, macs)


@pytest.mark.long
@pytest.mark.parametrize("name", PLAIN)
@settings(max_examples=100)
@given(macs=MOBILE_MACS)
def test_so_are_many_more_of_them(name: str, macs: int) -> None:
    assert_met(name, macs)


def assert_met(name: str, macs: int) -> None:
    scaled = scale_to_macs(ZOO[name].arch, macs)
    assert abs(count_macs(scaled).total - macs) <= 0.03 * macs
    assert (scaled.resolution, scaled.num_classes) == (ZOO[name].arch.resolution, 1000)
    assert len(scaled.blocks) == len(ZOO[name].arch.blocks)


@pytest.mark.parametrize("name", ZOO)
def test_other_inputs_and_class_counts_are_met_too(name: str) -> None:
    for macs, resolution, classes in ((4_500_000, 32, 10), (60_000_000, 128, 37), (300_000_000, 320, 3)):
        scaled = scale_to_macs(ZOO[name].arch, macs, resolution, classes)
        assert abs(count_macs(scaled).total - macs) <= 0.03 * macs
        assert (scaled.resolution, scaled.num_classes) == (resolution, classes)


def test_residuals_survive_because_equal_widths_stay_equal() -> None:
    arch = ZOO["autonl_l"].arch
    for multiplier in (0.1, 0.33, 0.77, 1.9):
        scaled = scale_width(arch, multiplier, multiple=1)
        assert [b.residual for b in scaled.blocks] == [b.residual for b in arch.blocks]


def test_light_nl_always_keeps_a_channel() -> None:
    arch = network(block(16, 16, light_nl=LightNLSpec(0.125, 1)), block(16, 24))
    scaled = scale_width(arch, 0.01, multiple=1)
    assert [(b.in_channels, b.out_channels) for b in scaled.blocks] == [(8, 8), (8, 1)]


def test_steps_wider_than_the_tolerance_are_named() -> None:
    with pytest.raises(BudgetError, match=r"comes within 3% of 6,961,830 MACs .* closest network has 7,332,480"):
        scale_to_macs(ZOO["mobilenet_v2"].arch, 6_961_830)


def test_out_of_reach_is_said_with_the_range_that_is_not() -> None:
    with pytest.raises(BudgetError, match="no width multiplier brings this network to 1,000 MACs") as refused:
        scale_to_macs(ZOO["mobilenet_v2"].arch, 1000)
    low, high = refused.value.feasible_macs
    assert 1000 < low < 20_000_000 < 600_000_000 < high
