"""Architecture files of the TensorFlow code: read into the same networks, or refused naming the line."""

from __future__ import annotations

import pytest

from autonl_core.errors import ArchError
from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec
from autonl_core.spec.tf_notation import decode_tf
from autonl_core.spec.zoo import ZOO


def written_in_tf(arch: ArchSpec) -> str:
    """`arch` as that code would have it in a file."""
    lines = []
    for b in arch.blocks:
        line = f"r1_k{b.kernel_size}_s{b.stride}{b.stride}_e{b.expand_ratio}_i{b.in_channels}_o{b.out_channels}"
        line += f"_se{b.se_ratio}" if b.se_ratio else ""
        line += f"_nonlocal{b.light_nl.nl_ratio}-{b.light_nl.nl_stride}" if b.light_nl else ""
        lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["autonl_s", "autonl_l"])
def test_the_published_networks_are_read_whole(name: str) -> None:
    assert decode_tf(written_in_tf(ZOO[name].arch)) == ZOO[name].arch


def test_one_line_by_hand() -> None:
    arch = decode_tf("r1_k3_s11_e1_i32_o96\nr2_k5_s22_e6_i96_o40_se0.25_nonlocal0.25-2_noskip_sw")
    assert arch.blocks[1] == BlockSpec(96, 40, 2, 5, 6, se_ratio=0.25, light_nl=LightNLSpec(0.25, 2), skip=False)
    assert arch.blocks[2] == BlockSpec(40, 40, 1, 5, 6, se_ratio=0.25, light_nl=LightNLSpec(0.25, 2), skip=False)
    assert (arch.stem_channels, arch.stem_stride, arch.head_channels, arch.num_classes) == (32, 2, 1280, 1000)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("nonlocal", LightNLSpec(1.0, 1)), ("nonlocal0.5", LightNLSpec(0.5, 1)), ("nonlocal0.5-2", LightNLSpec(0.5, 2))],
)
def test_light_nl_has_defaults(written: str, expected: LightNLSpec) -> None:
    assert decode_tf(f"r1_k3_s11_e1_i32_o16_{written}").blocks[0].light_nl == expected


@pytest.mark.parametrize(("ratio", "width"), [("0.25", 8), ("0.3", 9), ("0.02", 1), ("0.01", 1), ("0", 0), ("2", 0)])
def test_the_squeeze_is_as_wide_as_that_code_makes_it(ratio: str, width: int) -> None:
    # of 32 channels: .3 gives 9.6, which it floors; never below 1; out of (0, 1] it builds none
    assert decode_tf(f"r1_k3_s11_e3_i32_o16_se{ratio}").blocks[0].se_channels == width


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("r1_k3_s11_i32_o16", "misses e (expand_ratio)"),
        ("r1_k3_s1_e1_i32_o16", "strides are '1'; expected the same digit twice"),
        ("r1_k3_s12_e1_i32_o16", "strides are '12'"),
        ("r1_k3.5_s11_e1_i32_o16", "kernel_size is '3.5'; it must be one whole number"),
        ("r1_k4_s11_e1_i32_o16", "kernel_size is 4; it must be odd"),
        ("r0_k3_s11_e1_i32_o16", "repeats 0 times"),
        ("r" + "9" * 5000 + "_k3_s11_e1_i32_o16", "repeats is '99999999999999999999'"),
        ("r1_k3_s11_e1_i32_o16_p1", "cannot read 'p1'"),
        ("r1_k3_s11_e1_i32_o16_nonlocal0.25-2-2", "invalid literal"),
    ],
)
def test_lines_that_cannot_be_read_are_refused_by_number(line: str, complaint: str) -> None:
    with pytest.raises(ArchError) as refused:
        decode_tf(f"r1_k3_s11_e1_i32_o32\n{line}")
    assert str(refused.value).startswith("line 2, 'r")
    assert complaint in str(refused.value)


def test_an_empty_file_and_layers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArchError, match="blocks is empty"):
        decode_tf("\n\n")
    with pytest.raises(ArchError, match="block 0 takes 16 channels but the layer before gives 32"):
        decode_tf("r1_k3_s11_e1_i16_o16")
