"""An architecture as data: frozen, hashable, JSON both ways, with one canonical identity.

A network is a stem (3x3 convolution), blocks (MBConv, each with an optional LightNL), a head (1x1 convolution),
global average pooling, at most one hidden linear layer, and a linear classifier. Nothing here loads torch.

What the search chooses from always uses Swish, a sigmoid gate and symmetric padding. Other activations, gates and
padding, a hidden layer and fractional expansions are there so that other mobile networks can be written down, and
compared with, exactly.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from autonl_core.errors import ArchError

WIDTH_MULTIPLE = 8  # widths that are multiples of 8 train faster and, measured, better

Activation = Literal["swish", "relu", "relu6", "hard_swish"]
SeGate = Literal["sigmoid", "hard_sigmoid"]
Divisor = Literal["positions", "aspect"]
Padding = Literal["symmetric", "same"]


def make_divisible(width: float, multiple: int = WIDTH_MULTIPLE) -> int:
    """`width` rounded to a multiple, never below 90% of it (the rounding rule of the MobileNets)."""
    rounded = max(multiple, int(width + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * width else rounded


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ArchError(message)


def _require_integers(spec: object, *names: str) -> None:
    for name in names:
        value = getattr(spec, name)
        _require(type(value) is int, f"{name} is {value!r}; it must be an integer")


def _require_one_of(spec: object, name: str, names: object) -> None:
    value, known = getattr(spec, name), get_args(names)
    _require(value in known, f"{name} is {value!r}; it must be one of {', '.join(known)}")


def _require_number(spec: object, name: str) -> float:
    value = getattr(spec, name)
    _require(type(value) in (int, float), f"{name} is {value!r}; it must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ArchError(f"{name} has {len(str(value))} digits; it must be a number of usual size") from error


def _make_float(spec: object, name: str) -> None:
    """Store a ratio as a float, so that 1 and 1.0 are written, and therefore hashed, alike."""
    object.__setattr__(spec, name, _require_number(spec, name))


def _make_integer_if_whole(spec: object, name: str) -> None:
    """Store a ratio as an integer where it is one, so that 6 and 6.0 are written, and therefore hashed, alike."""
    value = _require_number(spec, name)
    _require(math.isfinite(value), f"{name} is {value}; it must be finite")
    object.__setattr__(spec, name, int(value) if value.is_integer() else value)


def _to_plain(spec: Any, *later: str) -> dict[str, Any]:
    """Its fields, those named in `later` only where they are not the default: older identities stay what they were."""
    defaults = {field.name: field.default for field in fields(spec) if field.name in later}
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {name: value for name, value in values.items() if name not in later or value != defaults[name]}


@dataclass(frozen=True)
class LightNLSpec:
    """LightNL of a block: affinity on the first `nl_ratio` of the channels and every `nl_stride`-th row and column.

    `divisor` says by what its product is divided: "positions", the H * W of the paper and of its authors' code, or
    "aspect", the H / W (1 on square maps) that weights of the PyTorch port were trained with.
    """

    nl_ratio: float
    nl_stride: int
    divisor: Divisor = "positions"

    def __post_init__(self) -> None:
        _make_float(self, "nl_ratio")
        _require_integers(self, "nl_stride")
        _require_one_of(self, "divisor", Divisor)
        _require(0 < self.nl_ratio <= 1, f"nl_ratio is {self.nl_ratio}; it must lie in (0, 1]")
        _require(self.nl_stride >= 1, f"nl_stride is {self.nl_stride}; it must be at least 1")


@dataclass(frozen=True)
class BlockSpec:
    """One MBConv: expand (1x1), depthwise, squeeze-excite, project (1x1), LightNL, residual.

    `se_ratio` is relative to `in_channels`; 0 means no squeeze-excite. The residual is there whenever shapes allow it
    and `skip` is not switched off. An `expand_ratio` of 1 means that there is no expanding convolution.
    """

    in_channels: int
    out_channels: int
    stride: int
    kernel_size: int
    expand_ratio: float
    se_ratio: float = 0.0
    light_nl: LightNLSpec | None = None
    skip: bool = True
    activation: Activation = "swish"
    se_gate: SeGate = "sigmoid"

    def __post_init__(self) -> None:
        _require_integers(self, "in_channels", "out_channels", "stride", "kernel_size")
        _make_integer_if_whole(self, "expand_ratio")
        _make_float(self, "se_ratio")
        _require_one_of(self, "activation", Activation)
        _require_one_of(self, "se_gate", SeGate)
        _require(type(self.skip) is bool, f"skip is {self.skip!r}; it must be true or false")
        _require(self.in_channels >= 1, f"in_channels is {self.in_channels}; it must be at least 1")
        _require(self.out_channels >= 1, f"out_channels is {self.out_channels}; it must be at least 1")
        _require(self.stride in (1, 2), f"stride is {self.stride}; it must be 1 or 2")
        odd = self.kernel_size >= 1 and self.kernel_size % 2 == 1
        _require(odd, f"kernel_size is {self.kernel_size}; it must be odd and positive")
        _require(self.expand_ratio >= 1, f"expand_ratio is {self.expand_ratio}; it must be at least 1")
        widest = self.expand_ratio  # a squeeze is never wider than what it squeezes
        _require(0 <= self.se_ratio <= widest, f"se_ratio is {self.se_ratio}; it must lie in [0, {widest}]")
        _require(self.se_ratio > 0 or self.se_gate == "sigmoid", "se_gate is given without squeeze-excite")
        if self.light_nl is not None:
            compact = int(self.light_nl.nl_ratio * self.out_channels)
            _require(compact >= 1, f"nl_ratio {self.light_nl.nl_ratio} of {self.out_channels} channels leaves none")

    @property
    def expanded_channels(self) -> int:
        """A whole ratio multiplies exactly; any other is rounded to a multiple of 8, as in MobileNetV3."""
        width = self.in_channels * self.expand_ratio
        return width if isinstance(width, int) else make_divisible(width)

    @property
    def se_channels(self) -> int:
        """Width of the squeeze; 0 without squeeze-excite. Rounded half up, as in the published networks."""
        return max(1, int(self.in_channels * self.se_ratio + 0.5)) if self.se_ratio > 0 else 0

    @property
    def residual(self) -> bool:
        return self.skip and self.stride == 1 and self.in_channels == self.out_channels

    def to_json(self) -> dict[str, Any]:
        light_nl = None if self.light_nl is None else _to_plain(self.light_nl, "divisor")
        return _to_plain(self, "activation", "se_gate") | {"light_nl": light_nl}


@dataclass(frozen=True)
class ArchSpec:
    """A whole network, including its input size and the number of classes.

    `activation` is that of stem and head. `hidden_channels` is the width of a linear layer between the pooled head and
    the classifier, as MobileNetV3 has one; 0 means none.

    `padding` is that of every convolution: "symmetric", `kernel_size // 2` zeros on every side, or "same", TensorFlow's
    SAME: as many zeros as the last window needs, the smaller half of them first. The two differ where the stride is 2
    and the map has an even number of rows or columns; sizes, and so costs, are the same.
    """

    resolution: int
    num_classes: int
    stem_channels: int
    stem_stride: int
    blocks: tuple[BlockSpec, ...]
    head_channels: int
    hidden_channels: int = 0
    activation: Activation = "swish"
    padding: Padding = "symmetric"

    def __post_init__(self) -> None:
        _require_integers(self, "resolution", "num_classes", "stem_channels", "stem_stride", "head_channels")
        _require_integers(self, "hidden_channels")
        _require_one_of(self, "activation", Activation)
        _require_one_of(self, "padding", Padding)
        _require(self.resolution >= 4, f"resolution is {self.resolution}; it must be at least 4 pixels")
        _require(self.num_classes >= 2, f"num_classes is {self.num_classes}; it must be at least 2")
        _require(self.stem_channels >= 1, f"stem_channels is {self.stem_channels}; it must be at least 1")
        _require(self.stem_stride in (1, 2), f"stem_stride is {self.stem_stride}; it must be 1 or 2")
        _require(self.head_channels >= 1, f"head_channels is {self.head_channels}; it must be at least 1")
        _require(self.hidden_channels >= 0, f"hidden_channels is {self.hidden_channels}; it must be at least 0")
        _require(len(self.blocks) >= 1, "blocks is empty; a network needs at least one block")
        channels = self.stem_channels
        for index, block in enumerate(self.blocks):
            message = f"block {index} takes {block.in_channels} channels but the layer before gives {channels}"
            _require(block.in_channels == channels, message)
            channels = block.out_channels

    @property
    def arch_id(self) -> str:
        """16 hex digits: the SHA-256 of the canonical JSON. Equal architectures have equal ids, everywhere."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; `from_json` gives the equal object back."""
        plain = _to_plain(self, "hidden_channels", "activation", "padding")
        return plain | {"blocks": [block.to_json() for block in self.blocks]}

    @property
    def feature_channels(self) -> int:
        """Width of what the classifier sees."""
        return self.hidden_channels or self.head_channels

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ArchSpec:
        """Raises ArchError naming what is missing, unknown or out of range."""
        try:
            blocks = tuple(_block_from_json(block) for block in data["blocks"])
            rest = {key: value for key, value in data.items() if key != "blocks"}
            return ArchSpec(blocks=blocks, **rest)
        except (KeyError, TypeError) as error:
            raise ArchError(f"not an architecture: {error}") from error


def _block_from_json(data: Mapping[str, Any]) -> BlockSpec:
    light_nl = data["light_nl"]
    rest = {key: value for key, value in data.items() if key != "light_nl"}
    return BlockSpec(light_nl=None if light_nl is None else LightNLSpec(**light_nl), **rest)
