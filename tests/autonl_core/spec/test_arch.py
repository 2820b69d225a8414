"""An architecture is data: checked when it is made, equal by value, JSON both ways, with one identity."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from autonl_core.errors import ArchError
from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec, make_divisible
from autonl_core.spec.arch_string import decode
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.sample_architectures import AUTONL_S, arch_specs, block, network


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (1, 8),  # never below one multiple
        (11, 16),  # 8 would lose 27%, more than a tenth
        (12, 16),  # halves go up
        (16, 16),
        (17.6, 16),  # 16 keeps 91%
        (91, 88),  # 88 keeps 97%
        (100, 104),  # nearest
    ],
)
def test_widths_round_to_multiples_of_8_without_losing_a_tenth(width: float, expected: int) -> None:
    assert make_divisible(width) == expected


def test_squeeze_width_is_a_share_of_the_input_channels_rounded_half_up() -> None:
    assert block(16, se_ratio=0.25).se_channels == 4
    assert block(10, se_ratio=0.25).se_channels == 3  # 2.5
    assert block(9, se_ratio=0.25).se_channels == 2  # 2.25
    assert block(1, se_ratio=0.25).se_channels == 1  # never none
    assert block(16, se_ratio=0).se_channels == 0


def test_expanded_channels_are_the_input_channels_times_the_expansion() -> None:
    assert block(16, 24, expand_ratio=6).expanded_channels == 96


def test_a_residual_needs_equal_shapes_and_may_be_switched_off() -> None:
    assert block(8, 8).residual
    assert not block(8, 16).residual
    assert not block(8, 8, stride=2).residual
    assert not block(8, 8, skip=False).residual


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0; it must be at least 1"),
        ({"out_channels": -8}, "out_channels is -8; it must be at least 1"),
        ({"stride": 3}, "stride is 3; it must be 1 or 2"),
        ({"kernel_size": 4}, "kernel_size is 4; it must be odd and positive"),
        ({"kernel_size": -3}, "kernel_size is -3; it must be odd and positive"),
        ({"expand_ratio": 0}, "expand_ratio is 0; it must be at least 1"),
        ({"se_ratio": 3.5}, "se_ratio is 3.5; it must lie in [0, 3]"),
        ({"se_ratio": float("nan")}, "se_ratio is nan; it must lie in [0, 3]"),
        ({"kernel_size": 3.0}, "kernel_size is 3.0; it must be an integer"),
        ({"stride": True}, "stride is True; it must be an integer"),
        ({"expand_ratio": float("inf")}, "expand_ratio is inf; it must be finite"),
        ({"expand_ratio": 10**400}, "expand_ratio has 401 digits; it must be a number of usual size"),
        ({"activation": "tanh"}, "activation is 'tanh'; it must be one of swish, relu, relu6, hard_swish"),
        ({"se_gate": "hard_sigmoid"}, "se_gate is given without squeeze-excite"),
        ({"light_nl": LightNLSpec(0.1, 1)}, "nl_ratio 0.1 of 8 channels leaves none"),
    ],
)
def test_a_block_that_cannot_be_built_is_refused_with_value_and_limit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchError) as caught:
        block(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("nl_ratio", "nl_stride", "message"),
    [
        (0.0, 1, "nl_ratio is 0.0; it must lie in (0, 1]"),
        (1.5, 1, "nl_ratio is 1.5; it must lie in (0, 1]"),
        (0.25, 0, "nl_stride is 0; it must be at least 1"),
    ],
)
def test_a_light_nl_that_cannot_be_built_is_refused(nl_ratio: float, nl_stride: int, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        LightNLSpec(nl_ratio, nl_stride)
    assert str(caught.value) == message


def test_layers_must_fit_each_other() -> None:
    with pytest.raises(ArchError, match="block 1 takes 32 channels but the layer before gives 24"):
        network(block(16, 24), block(32, 32))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("resolution", 3, "resolution is 3; it must be at least 4 pixels"),
        ("num_classes", 1, "num_classes is 1; it must be at least 2"),
        ("num_classes", 10.5, "num_classes is 10.5; it must be an integer"),
        ("stem_channels", 0, "stem_channels is 0; it must be at least 1"),
        ("stem_stride", 4, "stem_stride is 4; it must be 1 or 2"),
        ("head_channels", 0, "head_channels is 0; it must be at least 1"),
        ("padding", "valid", "padding is 'valid'; it must be one of symmetric, same"),
        ("blocks", [], "blocks is empty; a network needs at least one block"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        ArchSpec.from_json({**network(block()).to_json(), field: value})
    assert str(caught.value) == message


@given(arch_specs())
def test_json_carries_every_architecture_both_ways(arch: ArchSpec) -> None:
    again = ArchSpec.from_json(json.loads(json.dumps(arch.to_json())))
    assert again == arch
    assert again.arch_id == arch.arch_id


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        "in32",
        {"blocks": []},
        {"blocks": [{}]},
        {**network(block()).to_json(), "colour": "red"},
        {**network(block()).to_json(), "resolution": "32"},
        {**network(block()).to_json(), "resolution": None},
        {**network(block()).to_json(), "blocks": "none"},
        {**network(block()).to_json(), "blocks": [{**network(block()).to_json()["blocks"][0], "light_nl": [0.25, 1]}]},
        {**network(block()).to_json(), "blocks": [{**network(block()).to_json()["blocks"][0], "se_ratio": "0.25"}]},
    ],
)
def test_json_that_is_no_architecture_is_refused(data: Any) -> None:
    with pytest.raises(ArchError):
        ArchSpec.from_json(data)


def test_the_identity_is_the_same_on_every_machine() -> None:
    assert decode(AUTONL_S).arch_id == "3f226a5d7c0a4a54"


def test_what_was_added_later_is_left_out_where_it_is_not_used() -> None:
    assert "activation" not in json.dumps(decode(AUTONL_S).to_json())
    other = network(
        block(activation="relu", se_ratio=0.5, se_gate="hard_sigmoid", light_nl=LightNLSpec(1, 1, "aspect"))
    )
    assert {key: other.to_json()["blocks"][0][key] for key in ("activation", "se_gate")} == {
        "activation": "relu",
        "se_gate": "hard_sigmoid",
    }
    assert other.to_json()["blocks"][0]["light_nl"]["divisor"] == "aspect"


def test_padding_is_stored_where_it_is_not_symmetric_and_tells_networks_apart() -> None:
    symmetric = network(block())
    same = replace(symmetric, padding="same")
    assert "padding" not in symmetric.to_json()
    assert same.to_json() == symmetric.to_json() | {"padding": "same"}
    assert same.arch_id != symmetric.arch_id


@pytest.mark.parametrize(
    ("name", "arch_id"),
    [
        ("autonl_l", "ddf87c9f80c90892"),
        ("fbnet_c", "2e93ebe335a2c11a"),
        ("mobilenet_v3_large", "28fea0111ea67ca8"),
        ("efficientnet_b0", "675282775bbb6db2"),
    ],
)
def test_identities_are_those_of_earlier_versions(name: str, arch_id: str) -> None:
    assert ZOO[name].arch.arch_id == arch_id


def test_equal_architectures_have_equal_identities_however_their_numbers_are_written() -> None:
    whole, real = network(block(se_ratio=1, expand_ratio=3)), network(block(se_ratio=1.0, expand_ratio=3.0))
    assert whole == real
    assert whole.arch_id == real.arch_id


@given(arch_specs(), arch_specs())
def test_identities_agree_exactly_when_architectures_do(one: ArchSpec, other: ArchSpec) -> None:
    assert (one.arch_id == other.arch_id) == (one == other)


def test_specs_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        block().stride = 2  # type: ignore[misc]
    assert hash(block()) == hash(BlockSpec(8, 8, 1, 3, 3))
