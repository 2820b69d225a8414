"""Reads the architecture files of the authors' TensorFlow code: one MBConv stage a line, all else fixed.

    line     := "r" repeats "_k" kernel "_s" stride stride "_e" expand "_i" in_channels "_o" out_channels
                [ "_se" ratio ] [ "_nonlocal" [ nl_ratio [ "-" nl_stride ] ] ] [ "_noskip" ]

Options come in any order. Stem (32 channels, stride 2), head (1,280), Swish everywhere and 1,000 classes are not in
the file. That code floors the squeeze's width, `max(1, int(in_channels * ratio))`; the `se_ratio` given back is the one
that has exactly this width.
"""

from __future__ import annotations

import re
from dataclasses import replace

from autonl_core.errors import ArchError
from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec

STEM_CHANNELS, STEM_STRIDE, HEAD_CHANNELS = 32, 2, 1280
_NEEDED = {
    "r": "repeats",
    "k": "kernel_size",
    "s": "strides",
    "e": "expand_ratio",
    "i": "in_channels",
    "o": "out_channels",
}
_WORD = re.compile(r"(?P<name>[a-z]+)(?P<value>\d[\d.\-]*)?")
_FLAGS = ("noskip", "sw")  # "sw", Swish, is what that code uses with or without it
_MAX_REPEATS = 64


def decode_tf(text: str, *, resolution: int = 224, num_classes: int = 1000) -> ArchSpec:
    """The architecture that the lines of `text` describe. Raises ArchError naming line and part that cannot be read."""
    blocks: list[BlockSpec] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                blocks += _decode_line(line.strip())
            except (ArchError, ValueError) as error:
                raise ArchError(f"line {number}, {line.strip()[:200]!r}: {error}") from error
    return ArchSpec(
        resolution=resolution,
        num_classes=num_classes,
        stem_channels=STEM_CHANNELS,
        stem_stride=STEM_STRIDE,
        blocks=tuple(blocks),
        head_channels=HEAD_CHANNELS,
    )


def _decode_line(line: str) -> list[BlockSpec]:
    options = _options(line)
    missing = [f"{name} ({meaning})" for name, meaning in _NEEDED.items() if not options.get(name)]
    if missing:
        raise ArchError(f"misses {', '.join(missing)}")
    strides, repeats = options["s"], _whole(options, "r")
    if len(strides) != 2 or strides[0] != strides[1]:
        raise ArchError(f"strides are {strides!r}; expected the same digit twice, such as 22")
    if not 1 <= repeats <= _MAX_REPEATS:
        raise ArchError(f"repeats {repeats} times; repeats must lie in 1..{_MAX_REPEATS}")
    first = BlockSpec(
        in_channels=_whole(options, "i"),
        out_channels=_whole(options, "o"),
        stride=int(strides[0]),
        kernel_size=_whole(options, "k"),
        expand_ratio=_whole(options, "e"),
        skip="noskip" not in options,
        light_nl=_light_nl(options["nonlocal"]) if "nonlocal" in options else None,
    )
    ratio = float(options.get("se") or 0)
    blocks = [first] + [replace(first, in_channels=first.out_channels, stride=1)] * (repeats - 1)
    return [replace(block, se_ratio=_floored(ratio, block.in_channels)) for block in blocks]


def _options(line: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in line.split("_"):
        found = _WORD.fullmatch(word)
        known = (*_NEEDED, "se", "nonlocal", *_FLAGS)
        if found is None or found["name"] not in known:
            raise ArchError(f"cannot read {word!r}; known are {', '.join(known)}")
        options[found["name"]] = found["value"] or ""
    return options


def _whole(options: dict[str, str], name: str) -> int:
    value = options[name]
    if not value.isdigit() or len(value) > 9:  # "k3.5", kernels of several sizes, is of other networks of that code
        raise ArchError(f"{_NEEDED[name]} is {value[:20]!r}; it must be one whole number")
    return int(value)


def _light_nl(value: str) -> LightNLSpec:
    """`0.25-2`; a ratio alone has stride 1, and no value means all channels."""
    ratio, _, stride = (value or "1.0").partition("-")
    return LightNLSpec(float(ratio), int(stride or 1))


def _floored(ratio: float, in_channels: int) -> float:
    """The ratio of the floored width, itself where rounding makes no difference."""
    if not 0 < ratio <= 1:  # that code builds no squeeze-excite then
        return 0.0
    width = max(1, int(in_channels * ratio))
    return ratio if width == max(1, int(in_channels * ratio + 0.5)) else width / in_channels
