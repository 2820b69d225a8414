"""An architecture as data: frozen, hashable, JSON both ways, with one canonical identity.

A network is a stem (3x3 convolution), blocks (MBConv, each with an optional LightNL), a head (1x1 convolution),
global average pooling and a linear classifier. Nothing here loads torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from autonl_core.errors import ArchError

WIDTH_MULTIPLE = 8  # widths that are multiples of 8 train faster and, measured, better


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


def _make_float(spec: object, name: str) -> None:
    """Store a ratio as a float, so that 1 and 1.0 are written, and therefore hashed, alike."""
    value = getattr(spec, name)
    _require(type(value) in (int, float), f"{name} is {value!r}; it must be a number")
    object.__setattr__(spec, name, float(value))


@dataclass(frozen=True)
class LightNLSpec:
    """LightNL of a block: affinity on the first `nl_ratio` of the channels and every `nl_stride`-th row and column."""

    nl_ratio: float
    nl_stride: int

    def __post_init__(self) -> None:
        _make_float(self, "nl_ratio")
        _require_integers(self, "nl_stride")
        _require(0 < self.nl_ratio <= 1, f"nl_ratio is {self.nl_ratio}; it must lie in (0, 1]")
        _require(self.nl_stride >= 1, f"nl_stride is {self.nl_stride}; it must be at least 1")


@dataclass(frozen=True)
class BlockSpec:
    """One MBConv: expand (1x1), depthwise, squeeze-excite, project (1x1), LightNL, residual.

    `se_ratio` is relative to `in_channels`; 0 means no squeeze-excite. The residual is there whenever shapes allow it
    and `skip` is not switched off.
    """

    in_channels: int
    out_channels: int
    stride: int
    kernel_size: int
    expand_ratio: int
    se_ratio: float = 0.0
    light_nl: LightNLSpec | None = None
    skip: bool = True

    def __post_init__(self) -> None:
        _require_integers(self, "in_channels", "out_channels", "stride", "kernel_size", "expand_ratio")
        _make_float(self, "se_ratio")
        _require(type(self.skip) is bool, f"skip is {self.skip!r}; it must be true or false")
        _require(self.in_channels >= 1, f"in_channels is {self.in_channels}; it must be at least 1")
        _require(self.out_channels >= 1, f"out_channels is {self.out_channels}; it must be at least 1")
        _require(self.stride in (1, 2), f"stride is {self.stride}; it must be 1 or 2")
        odd = self.kernel_size >= 1 and self.kernel_size % 2 == 1
        _require(odd, f"kernel_size is {self.kernel_size}; it must be odd and positive")
        _require(self.expand_ratio >= 1, f"expand_ratio is {self.expand_ratio}; it must be at least 1")
        _require(0 <= self.se_ratio <= 1, f"se_ratio is {self.se_ratio}; it must lie in [0, 1]")
        if self.light_nl is not None:
            compact = int(self.light_nl.nl_ratio * self.out_channels)
            _require(compact >= 1, f"nl_ratio {self.light_nl.nl_ratio} of {self.out_channels} channels leaves none")

    @property
    def expanded_channels(self) -> int:
        return self.in_channels * self.expand_ratio

    @property
    def se_channels(self) -> int:
        """Width of the squeeze; 0 without squeeze-excite. Rounded half up, as in the published networks."""
        return max(1, int(self.in_channels * self.se_ratio + 0.5)) if self.se_ratio > 0 else 0

    @property
    def residual(self) -> bool:
        return self.skip and self.stride == 1 and self.in_channels == self.out_channels


@dataclass(frozen=True)
class ArchSpec:
    """A whole network, including the input it is meant for and the classes it tells apart."""

    resolution: int
    num_classes: int
    stem_channels: int
    stem_stride: int
    blocks: tuple[BlockSpec, ...]
    head_channels: int

    def __post_init__(self) -> None:
        _require_integers(self, "resolution", "num_classes", "stem_channels", "stem_stride", "head_channels")
        _require(self.resolution >= 4, f"resolution is {self.resolution}; it must be at least 4 pixels")
        _require(self.num_classes >= 2, f"num_classes is {self.num_classes}; it must be at least 2")
        _require(self.stem_channels >= 1, f"stem_channels is {self.stem_channels}; it must be at least 1")
        _require(self.stem_stride in (1, 2), f"stem_stride is {self.stem_stride}; it must be 1 or 2")
        _require(self.head_channels >= 1, f"head_channels is {self.head_channels}; it must be at least 1")
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
        data = asdict(self)
        data["blocks"] = [asdict(block) for block in self.blocks]
        return data

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
