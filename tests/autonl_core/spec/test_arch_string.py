"""The block notation: what is written is what is read, and what cannot be read is named."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonl_core.errors import ArchError
from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec
from autonl_core.spec.arch_string import decode, decode_blocks, encode, encode_block
from tests.autonl_core.sample_architectures import PUBLISHED, arch_specs, block, network

EXAMPLE = (
    "in32 | cn_k3_s1_c16 | ds_r1_k3_s2_c16 | ir_r1_k5_s1_e3_c24_nl0.25-2 ir_r2_k3_s1_e3_c24 | cn_k1_s1_c256 | fc10"
)


def test_every_part_of_a_string_has_its_place_in_the_architecture() -> None:
    assert decode(EXAMPLE) == ArchSpec(
        resolution=32,
        num_classes=10,
        stem_channels=16,
        stem_stride=1,
        blocks=(
            BlockSpec(16, 16, stride=2, kernel_size=3, expand_ratio=1),
            BlockSpec(16, 24, stride=1, kernel_size=5, expand_ratio=3, light_nl=LightNLSpec(0.25, 2)),
            BlockSpec(24, 24, stride=1, kernel_size=3, expand_ratio=3),
            BlockSpec(24, 24, stride=1, kernel_size=3, expand_ratio=3),
        ),
        head_channels=256,
    )


def test_of_repeated_blocks_only_the_first_has_the_stride_and_the_change_of_width() -> None:
    first, second, third = decode_blocks("ir_r3_k5_s2_e6_c40_se0.25", in_channels=24)
    assert first == BlockSpec(24, 40, stride=2, kernel_size=5, expand_ratio=6, se_ratio=0.25)
    assert second == third == BlockSpec(40, 40, stride=1, kernel_size=5, expand_ratio=6, se_ratio=0.25)


def test_all_marks_of_a_block() -> None:
    word = "ir_r1_k5_s1_e6_c96_se0.25_nl0.125-2_noskip"
    spec = BlockSpec(96, 96, 1, 5, 6, se_ratio=0.25, light_nl=LightNLSpec(0.125, 2), skip=False)
    assert decode_blocks(word, in_channels=96) == [spec]
    assert encode_block(spec) == word


def test_padding_is_marked_in_the_stem() -> None:
    same = decode(EXAMPLE.replace("cn_k3_s1_c16", "cn_k3_s1_c16_same"))
    assert same == replace(decode(EXAMPLE), padding="same")
    assert encode(replace(same, activation="relu")).startswith("in32 | cn_k3_s1_c16_same_nre | ")


def test_equal_neighbours_are_written_once_with_a_count() -> None:
    written = encode(network(block(8, 16, stride=2), block(16, 16), block(16, 16), block(16, 16, kernel_size=5)))
    assert written == ("in32 | cn_k3_s1_c8 | ir_r3_k3_s2_e3_c16 ir_r1_k5_s1_e3_c16 | cn_k1_s1_c64 | fc10")


@given(arch_specs())
def test_reading_what_was_written_gives_the_same_architecture(arch: ArchSpec) -> None:
    assert decode(encode(arch)) == arch


def test_ratios_too_small_for_plain_decimals_survive_too() -> None:
    arch = network(block(se_ratio=0.00001), block(se_ratio=1.0, light_nl=LightNLSpec(1.0, 1)))
    assert decode(encode(arch)) == arch


def test_more_equal_blocks_than_one_word_may_repeat() -> None:
    arch = network(*[block()] * 150)
    assert "ir_r64_k3_s1_e3_c8 ir_r64_k3_s1_e3_c8 ir_r22_k3_s1_e3_c8" in encode(arch)
    assert decode(encode(arch)) == arch


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks_are_written_as_they_are_read(name: str) -> None:
    assert encode(decode(PUBLISHED[name])) == PUBLISHED[name]


def test_spaces_around_the_parts_do_not_matter() -> None:
    assert decode("  " + EXAMPLE.replace(" | ", "|  ")) == decode(EXAMPLE)


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ("cn_k3_s1_c16", "cn_k3_s1_c16_valid", "cannot read 'cn_k3_s1_c16_valid'"),
        ("in32", "32", "cannot read '32'; expected something like 'in224'"),
        ("cn_k3_s1_c16", "cn_k5_s1_c16", "cannot read 'cn_k5_s1_c16'"),
        ("cn_k1_s1_c256", "cn_k1_c256", "cannot read 'cn_k1_c256'"),
        ("fc10", "fc", "cannot read 'fc'"),
        ("fc10", "fc1", "num_classes is 1"),
        ("ir_r2_k3", "er_r2_k3", "cannot read 'er_r2_k3_s1_e3_c24'"),
        ("ir_r2_k3", "ir_r0_k3", "'ir_r0_k3_s1_e3_c24' repeats 0 times; repeats must lie in 1..64"),
        ("ir_r2_k3", "ir_r99_k3", "repeats must lie in 1..64"),
        ("ir_r2_k3", "ir_r2_k4", "kernel_size is 4; it must be odd"),
        ("_nl0.25-2", "_nl0.25", "cannot read 'ir_r1_k5_s1_e3_c24_nl0.25'"),
        ("_nl0.25-2", "_nl0.01-2", "nl_ratio 0.01 of 24 channels leaves none"),
        ("ds_r1_k3_s2_c16", "ds_r1_k3_s2_e3_c16", "write 'ir' for an expansion above 1"),
        ("ds_r1_k3_s2_c16", "ds_r1_k3_s2_e1_c16_se7", "se_ratio is 7.0"),
    ],
)
def test_a_string_that_cannot_be_read_is_refused_naming_the_part(wrong: str, right: str, complaint: str) -> None:
    with pytest.raises(ArchError) as caught:
        decode(EXAMPLE.replace(wrong, right))
    assert complaint in str(caught.value)


def test_a_string_with_parts_missing_says_how_many_there_are() -> None:
    with pytest.raises(ArchError, match=r"at least 5 parts separated by '|', this one has 2"):
        decode("in32 | fc10")


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(ArchError, match="blocks is empty"):
        decode("in32 | cn_k3_s1_c16 | | cn_k1_s1_c256 | fc10")


def test_numbers_of_absurd_length_are_refused_like_any_other_mistake() -> None:
    with pytest.raises(ArchError):
        decode(EXAMPLE.replace("in32", "in" + "9" * 5000))


_SCRAPS = st.sampled_from(["", "|", " ", "ir", "_", "-", ".", "e", "0", "9", "1e9", "_se", "_nl", "_noskip", "²"])


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 12), _SCRAPS | st.text(max_size=8))
def test_a_damaged_string_is_read_or_refused_and_never_a_crash(start: int, length: int, scrap: str) -> None:
    with contextlib.suppress(ArchError):
        decode(EXAMPLE[:start] + scrap + EXAMPLE[start + length :])
