"""Search spaces: which networks they hold, what these cost, and which images they serve."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonl_core.errors import SpaceError
from autonl_core.spec.arch import BlockSpec, LightNLSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.macs import count_macs
from autonl_core.spec.search_space import SearchSpace, StageSpec
from autonl_core.spec.space_families import SPACES as FAMILIES
from autonl_core.spec.space_families import get_space
from tests.autonl_core.sample_architectures import AUTONL_S

SPACES = {
    "tiny": get_space("tiny", 8, 10),
    "mobile-32": get_space("mobile-32", 32, 10),
    "mobile-224": get_space("mobile-224", 224, 1000),
}
spaces = st.sampled_from(list(SPACES.values()))
seeds = st.integers(0, 2**32 - 1)


def sampled(space: SearchSpace, seed: int) -> list[BlockSpec | None]:
    rng = random.Random(seed)
    return [rng.choice(choices.options()) for choices in space.blocks]


def test_every_resolution_from_8_to_320_pixels_has_one_space_made_for_it() -> None:
    chosen = [get_space(None, resolution, 10).name for resolution in range(8, 321)]
    assert chosen == ["tiny"] * 16 + ["mobile-32"] * 72 + ["mobile-224"] * 225


def in_this_order(listed: list[str], *expected: str) -> bool:
    """Whether one entry per registered family is listed, `expected` among them and in this order."""
    return len(listed) == len(FAMILIES.names()) and [entry for entry in listed if entry in expected] == [*expected]


def test_other_resolutions_are_refused_with_those_that_are_served() -> None:
    served = {resolution for family in FAMILIES.members() for resolution in family.resolutions}
    for resolution in (min(served) - 1, max(served) + 1):
        with pytest.raises(SpaceError) as caught:
            get_space(None, resolution, 10)
        refused, _, spans = str(caught.value).partition("; pixels served: ")
        assert refused == f"no search space serves {resolution} pixels"
        assert in_this_order(spans.split(", "), "mobile-224: 96 to 320", "mobile-32: 24 to 95", "tiny: 8 to 23")


def test_a_space_asked_for_by_name_must_exist_and_serve_the_resolution() -> None:
    with pytest.raises(SpaceError, match="'huge' is unknown; known are ") as caught:
        get_space("huge", 32, 10)
    known = str(caught.value).partition("known are ")[2].split(", ")
    assert set(known) == set(FAMILIES.names())
    assert in_this_order(known, "mobile-224", "mobile-32", "tiny")
    with pytest.raises(SpaceError, match="'tiny' does not serve 32 pixels; pixels served"):
        get_space("tiny", 32, 10)


def test_the_published_small_network_is_in_the_mobile_space() -> None:
    assert SPACES["mobile-224"].contains(decode(AUTONL_S))


@pytest.mark.parametrize(
    ("wrong", "right", "why"),
    [
        ("in224", "in192", "another resolution"),
        ("cn_k3_s2_c32", "cn_k3_s2_c32_same", "another padding"),
        ("fc1000", "fc10", "another class count"),
        ("cn_k1_s1_c1280", "cn_k1_s1_c1024", "another head"),
        ("ds_r1_k3_s1_c16 | ", "", "the first stage is missing"),
        (" ir_r1_k3_s1_e3_c24 |", " ir_r4_k3_s1_e3_c24 |", "one block too many in its stage"),
        ("ir_r1_k3_s1_e3_c24 |", "ir_r1_k7_s1_e3_c24 |", "a kernel that is not offered"),
        ("ir_r1_k3_s1_e3_c24 |", "ir_r1_k3_s1_e4_c24 |", "an expansion that is not offered"),
        ("ir_r1_k3_s1_e3_c24 |", "ir_r1_k3_s1_e3_c24_noskip |", "a residual switched off"),
        ("_c40_nl0.25-2", "_c40_nl0.5-2", "a channel ratio that is not offered"),
        ("ir_r2_k3_s1_e3_c80_se0.5", "ir_r2_k3_s1_e3_c80", "squeeze-excite against the rule of its stage"),
        ("_s1_e6_c320_se0.5_nl0.25-1", "_s1_e6_c320_se0.5 ir_r1_k3_s1_e3_c320_se0.5", "a block after the last stage"),
    ],
)
def test_a_network_outside_the_space_is_recognised(wrong: str, right: str, why: str) -> None:
    changed = AUTONL_S.replace(wrong, right)
    assert changed != AUTONL_S
    assert not SPACES["mobile-224"].contains(decode(changed)), why


@given(spaces, seeds)
def test_every_sampled_network_is_in_its_space_and_within_its_range(space: SearchSpace, seed: int) -> None:
    arch = space.sample(random.Random(seed))
    low, high = space.macs_range()
    assert space.contains(arch)
    assert low <= count_macs(arch).total <= high


@given(spaces, seeds)
def test_the_costs_of_the_options_add_up_to_the_macs_of_the_network(space: SearchSpace, seed: int) -> None:
    options = sampled(space, seed)
    added = space.fixed_macs + sum(space.option_macs(position, option) for position, option in enumerate(options))
    assert added == count_macs(space.build(options)).total


def test_stages_of_equal_width_do_not_swallow_each_other_s_blocks() -> None:
    stages = (StageSpec(8, 2, 1), StageSpec(8, 2, 1))
    space = SearchSpace("twins", 16, 10, stem_channels=8, stem_stride=1, stages=stages, head_channels=16)
    assert space.contains(space.smallest())  # one block in either stage, both alike


@pytest.mark.parametrize("name", SPACES)
def test_options_of_every_position_are_distinct_and_skipping_comes_first(name: str) -> None:
    for choices in SPACES[name].blocks:
        options = choices.options()
        assert len(set(options)) == len(options)
        assert choices.can_skip == (None in options) == (options[0] is None)


def test_a_free_position_offers_kernel_expansion_and_light_nl_in_every_combination() -> None:
    second = SPACES["tiny"].blocks[1]
    # 2 kernels x 2 expansions x (no LightNL, or 2 channel ratios x 2 strides)
    assert len(second.options()) == 2 * 2 * (1 + 2 * 2)
    assert second.options()[0] == BlockSpec(16, 24, stride=2, kernel_size=3, expand_ratio=3)
    assert second.options()[-1] == BlockSpec(16, 24, 2, kernel_size=5, expand_ratio=6, light_nl=LightNLSpec(0.25, 1))


def test_the_first_block_of_a_stage_has_its_stride_and_cannot_be_skipped() -> None:
    first, second = SPACES["mobile-224"].blocks[9:11]  # of the stage of 80 channels
    assert (first.in_channels, first.out_channels, first.stride, first.can_skip) == (40, 80, 2, False)
    assert (second.in_channels, second.out_channels, second.stride, second.can_skip) == (80, 80, 1, True)
    assert (first.se_ratio, second.se_ratio) == (0.25, 0.5)


def test_sizes_follow_the_strides() -> None:
    assert SPACES["tiny"].sizes == (8, 8, 4, 4, 2, 2)
    assert replace(SPACES["tiny"], resolution=9).sizes == (9, 9, 5, 5, 3, 3)


def test_smallest_network_of_the_tiny_space_by_hand() -> None:
    # 8 pixels, 10 classes
    stem = 3 * 9 * 16 * 64
    fixed = 16 * 9 * 64 + 16 * 16 * 64  # 16 -> 16, no expansion, 8 x 8
    second = 16 * 48 * 64 + 48 * 9 * 16 + 48 * 24 * 16  # 16 -> 24, expansion 3, 8 x 8 to 4 x 4
    third = 24 * 72 * 16 + 72 * 9 * 4 + 2 * 72 * 6 + 72 * 4 + 72 * 40 * 4  # 24 -> 40, SE 6 wide, 4 x 4 to 2 x 2
    head = 40 * 128 * 4 + 128 * 4 + 128 * 10
    space = SPACES["tiny"]
    assert count_macs(space.smallest()).total == stem + fixed + second + third + head == 192_928
    assert space.macs_range()[0] == 192_928


def test_the_largest_network_has_every_layer_and_the_largest_kernel_and_expansion() -> None:
    free = SPACES["tiny"].largest().blocks[1:]
    assert len(free) == 4
    # the last takes 2x2 maps, where the rim of a 5x5 kernel would multiply padding only
    assert [(spec.kernel_size, spec.expand_ratio) for spec in free] == [(5, 6), (5, 6), (5, 6), (3, 6)]
    assert all(spec.light_nl is not None for spec in free)


def test_published_sizes_lie_in_the_range_of_the_mobile_space() -> None:
    low, high = SPACES["mobile-224"].macs_range()
    assert low < 266_878_784 < high


@pytest.mark.parametrize("name", FAMILIES.names())
def test_more_classes_or_pixels_cost_more(name: str) -> None:
    resolutions = FAMILIES.get(name).resolutions
    first, last = resolutions[0], resolutions[-1]
    small, many, large = get_space(name, first, 2), get_space(name, first, 1000), get_space(name, last, 2)
    assert small.macs_range() < many.macs_range()
    assert small.macs_range() < large.macs_range()
