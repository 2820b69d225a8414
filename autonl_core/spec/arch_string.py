"""The text form of an architecture: the field's block notation.

    network := "in" resolution "|" stem "|" stage { "|" stage } "|" head "|" "fc" classes
    stem    := "cn_k3_s" stride "_c" channels [ "_same" ] [ act ]
    head    := "cn_k1_s1_c" channels [ " fc" hidden ]
    stage   := block { " " block }
    block   := kind "_r" repeats "_k" kernel "_s" stride [ "_e" expand ] "_c" channels
               [ ( "_se" | "_hse" ) ratio ] [ "_nl" nl_ratio "-" nl_stride [ "a" ] ] [ act ] [ "_noskip" ]
    kind    := "ds" (no expansion) | "ir" (MBConv)
    act     := "_nsw" (Swish) | "_nre" (ReLU) | "_nr6" (ReLU6) | "_nhs" (hard Swish)

`r3` stands for three blocks of which only the first has the stride and the change of width. `se_ratio` is relative to
the block's input channels; `hse` is gated by a hard sigmoid. The activation of the stem, Swish if it names none, is
that of the whole network, except of blocks that name their own. `a` after a LightNL marks the divisor "aspect",
`same` in the stem that all convolutions pad as TensorFlow's SAME.
Example, a network for 32-pixel images and 10 classes:

    in32 | cn_k3_s1_c16 | ds_r1_k3_s2_c16 | ir_r1_k5_s1_e3_c24_nl0.25-2 ir_r2_k3_s1_e3_c24 | cn_k1_s1_c256 | fc10

`decode(encode(arch)) == arch` for every architecture.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from autonl_core.errors import ArchError
from autonl_core.spec.arch import Activation, ArchSpec, BlockSpec, LightNLSpec

_ACTIVATIONS: dict[str, Activation] = {"nsw": "swish", "nre": "relu", "nr6": "relu6", "nhs": "hard_swish"}
_SUFFIXES = {activation: suffix for suffix, activation in _ACTIVATIONS.items()}
_N = r"\d{1,9}"  # bounded: Python refuses to convert numbers of thousands of digits
_RATIO = r"(?:\d{1,9}(?:\.\d{1,400})?|\.\d{1,400})"
_ACT = rf"(_(?P<act>{'|'.join(_ACTIVATIONS)}))?"
_BLOCK = re.compile(
    rf"(?P<kind>ds|ir)_r(?P<repeats>{_N})_k(?P<kernel>{_N})_s(?P<stride>{_N})(_e(?P<expand>{_RATIO}))?"
    rf"_c(?P<channels>{_N})(_(?P<hard>h?)se(?P<se>{_RATIO}))?"
    rf"(_nl(?P<nl_ratio>{_RATIO})-(?P<nl_stride>{_N})(?P<aspect>a?))?{_ACT}(?P<noskip>_noskip)?"
)
_INPUT = re.compile(rf"in(?P<resolution>{_N})")
_STEM = re.compile(rf"cn_k3_s(?P<stride>{_N})_c(?P<channels>{_N})(?P<same>_same)?{_ACT}")
_HEAD = re.compile(rf"cn_k1_s1_c(?P<channels>{_N})( +fc(?P<hidden>{_N}))?")
_CLASSIFIER = re.compile(rf"fc(?P<classes>{_N})")
_MAX_REPEATS = 64


def encode(arch: ArchSpec) -> str:
    """The arch string of `arch`."""
    stages = " | ".join(" ".join(stage) for stage in _stages(arch))
    padding = "_same" if arch.padding == "same" else ""
    stem = f"cn_k3_s{arch.stem_stride}_c{arch.stem_channels}{padding}{_suffix(arch.activation, 'swish')}"
    head = f"cn_k1_s1_c{arch.head_channels}" + (f" fc{arch.hidden_channels}" if arch.hidden_channels else "")
    return f"in{arch.resolution} | {stem} | {stages} | {head} | fc{arch.num_classes}"


def decode(text: str) -> ArchSpec:
    """The architecture that `text` describes. Raises ArchError naming the part that cannot be read."""
    parts = [part.strip() for part in text.split("|")]
    if len(parts) < 5:
        raise ArchError(f"an arch string has at least 5 parts separated by '|', this one has {len(parts)}: {text!r}")
    resolution = int(_read(_INPUT, parts[0], "in224")["resolution"])
    stem = _read(_STEM, parts[1], "cn_k3_s2_c32")
    head = _read(_HEAD, parts[-2], "cn_k1_s1_c1280")
    num_classes = int(_read(_CLASSIFIER, parts[-1], "fc1000")["classes"])
    channels, activation = int(stem["channels"]), _ACTIVATIONS[stem["act"] or "nsw"]
    blocks: list[BlockSpec] = []
    for word in " ".join(parts[2:-2]).split():
        blocks += decode_blocks(word, channels, activation)
        channels = blocks[-1].out_channels
    return ArchSpec(
        resolution=resolution,
        num_classes=num_classes,
        stem_channels=int(stem["channels"]),
        stem_stride=int(stem["stride"]),
        blocks=tuple(blocks),
        head_channels=int(head["channels"]),
        hidden_channels=int(head["hidden"] or 0),
        activation=activation,
        padding="same" if stem["same"] else "symmetric",
    )


def decode_blocks(word: str, in_channels: int, activation: Activation = "swish") -> list[BlockSpec]:
    """The blocks of one word such as `ir_r2_k3_s2_e6_c24`; `activation` is theirs unless the word names another."""
    found = _read(_BLOCK, word, "ir_r2_k3_s2_e6_c24_se0.25_nl0.25-2")
    repeats, expand = int(found["repeats"]), float(found["expand"] or 1)
    if not 1 <= repeats <= _MAX_REPEATS:
        raise ArchError(f"{word!r} repeats {repeats} times; repeats must lie in 1..{_MAX_REPEATS}")
    if found["kind"] == "ds" and expand != 1:
        raise ArchError(f"{word!r} is a 'ds' block with expansion {expand}; write 'ir' for an expansion above 1")
    light_nl = None
    if found["nl_ratio"]:
        ratio, stride = float(found["nl_ratio"]), int(found["nl_stride"])
        light_nl = LightNLSpec(ratio, stride, "aspect" if found["aspect"] else "positions")
    first = BlockSpec(
        in_channels=in_channels,
        out_channels=int(found["channels"]),
        stride=int(found["stride"]),
        kernel_size=int(found["kernel"]),
        expand_ratio=expand,
        se_ratio=float(found["se"] or 0),
        light_nl=light_nl,
        skip=found["noskip"] is None,
        activation=_ACTIVATIONS[found["act"]] if found["act"] else activation,
        se_gate="hard_sigmoid" if found["hard"] else "sigmoid",
    )
    return [first] + [replace(first, in_channels=first.out_channels, stride=1)] * (repeats - 1)


def encode_block(block: BlockSpec, repeats: int = 1, activation: Activation = "swish") -> str:
    """One word of the notation, for `block` followed by `repeats` - 1 stride-1 copies, in a network of `activation`."""
    word = f"{'ds' if block.expand_ratio == 1 else 'ir'}_r{repeats}_k{block.kernel_size}_s{block.stride}"
    word += f"_e{_decimals(block.expand_ratio)}" if block.expand_ratio > 1 else ""
    word += f"_c{block.out_channels}"
    word += "_h" if block.se_gate == "hard_sigmoid" else "_" if block.se_ratio else ""
    word += f"se{_decimals(block.se_ratio)}" if block.se_ratio else ""
    if block.light_nl:
        word += f"_nl{_decimals(block.light_nl.nl_ratio)}-{block.light_nl.nl_stride}"
        word += "a" if block.light_nl.divisor == "aspect" else ""
    word += _suffix(block.activation, activation)
    return word if block.skip else word + "_noskip"


def _suffix(activation: Activation, usual: Activation) -> str:
    return "" if activation == usual else f"_{_SUFFIXES[activation]}"


def _stages(arch: ArchSpec) -> list[list[str]]:
    """Words grouped by stage; a stage begins where the stride or the width changes."""
    stages: list[list[str]] = []
    blocks, index = arch.blocks, 0
    while index < len(blocks):
        first, repeats = blocks[index], 1
        follower = replace(first, in_channels=first.out_channels, stride=1)
        while index + repeats < len(blocks) and blocks[index + repeats] == follower and repeats < _MAX_REPEATS:
            repeats += 1
        word = encode_block(first, repeats, arch.activation)
        if not stages or first.stride == 2 or first.in_channels != first.out_channels:
            stages.append([word])
        else:
            stages[-1].append(word)
        index += repeats
    return stages


def _decimals(ratio: float) -> str:
    """The shortest text that reads back as `ratio`, without an exponent: 0.00001, not 1e-05."""
    return f"{Decimal(repr(ratio)):f}"


def _read(pattern: re.Pattern[str], text: str, example: str) -> dict[str, str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ArchError(f"cannot read {text!r}; expected something like {example!r}")
    return match.groupdict()
