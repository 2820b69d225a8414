"""A device table: how long every block of a search space takes on one device, and what a network takes by that.

A file of JSON that `autonl device measure` writes. Blocks are timed alone, as ONNX models, so their sum is not the time
of a network: a network has its own overhead, and its blocks hand maps to each other. `Calibration` maps the sum to
what whole networks took. All predictions are integers of nanoseconds that add up over the blocks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from autonl_core.errors import DeviceTableError
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.arch_string import encode_block
from autonl_core.spec.macs import block_sizes
from autonl_core.spec.search_space import SearchSpace

NS_PER_MS = 1_000_000
MAX_NS = 3_600 * 1_000 * NS_PER_MS  # nothing that is measured takes an hour
MAX_BLOCKS = 10_000
_MAX_SCALE = 1_000.0

# Bounded, and without characters that no database stores: tables come from machines that a service does not know.
_LINE = r"^[^\x00-\x1f\x7f]*$"
_Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)]
_ArchString = Annotated[str, StringConstraints(max_length=10_000, pattern=_LINE)]
_Key = Annotated[str, StringConstraints(max_length=100)]
_Count = Annotated[str, StringConstraints(pattern="^[1-9][0-9]{0,5}$")]  # the keys of JSON are text
_NO_OTHER_KEYS: dict[str, Any] = {"additionalProperties": False}
_Took = Annotated[int, Field(ge=1, le=MAX_NS)]
_Share = Annotated[int, Field(ge=0, le=MAX_NS)]  # of a network
_ByClasses = Annotated[dict[_Count, _Share], Field(max_length=100, json_schema_extra=_NO_OTHER_KEYS)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class TableMachine(_Strict):
    """Where, when and with what was measured."""

    processor: _Line
    threads: int = Field(ge=1, le=10_000)
    onnxruntime: _Line
    date: _Line = Field(description="UTC, as 2026-11-28")

    @property
    def device(self) -> str:
        """The device in words: two tables of equal ones are of one kind of device."""
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{self.processor}, {threads}, onnxruntime {self.onnxruntime}"


class CalibrationNetwork(_Strict):
    """A whole network that was timed, and what the table says of it."""

    arch_string: _ArchString
    measured_ns: _Took
    predicted_ns: _Took
    held_out: bool = Field(description="whether the calibration did not see it")

    @property
    def error_pct(self) -> float:
        """Of the prediction, in % of what was measured."""
        return 100 * (self.predicted_ns / self.measured_ns - 1)


class Calibration(_Strict):
    """A network takes `overhead_ns` + `scale` * the sum of its parts, by a fit to whole networks."""

    overhead_ns: float = Field(ge=-MAX_NS, le=MAX_NS)
    scale: float = Field(gt=0, le=_MAX_SCALE)
    networks: tuple[CalibrationNetwork, ...] = Field(strict=False, max_length=100)

    def worst_pct(self, *, held_out: bool) -> float:
        """The largest error, in % of what was measured, of the networks that were fitted or of those held out."""
        return max((abs(each.error_pct) for each in self.networks if each.held_out == held_out), default=0.0)


class DeviceTable(_Strict):
    """Times in nanoseconds of one image, float32, on the CPU: of the parts of one space at one resolution.

    Args:
        resolution: pixels.
        reference_ns: of the small network that all times were measured beside; what is timed later is set in relation
            to it.
        stem_ns: of the stem.
        ends_ns: of head and classifier, by channels of the head, then by number of classes.
        blocks_ns: by `block_key`.
    """

    version: Literal[1] = 1
    machine: TableMachine
    space: _Line
    resolution: int = Field(ge=1, le=10_000)
    reference_ns: _Took
    stem_ns: _Share
    ends_ns: dict[_Count, _ByClasses] = Field(max_length=100, json_schema_extra=_NO_OTHER_KEYS)
    blocks_ns: dict[_Key, _Share] = Field(max_length=MAX_BLOCKS)
    calibration: Calibration

    @model_validator(mode="after")
    def _has_ends(self) -> Self:
        for head, by_classes in self.ends_ns.items():
            if len(by_classes) < 2:
                raise ValueError(f"ends_ns: head {head!r} needs times for two numbers of classes or more")
        return self

    @property
    def sha256(self) -> str:
        """Of the content, however it is laid out in a file."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def device(self) -> str:
        """The device in words."""
        return self.machine.device

    def block_ns(self, block: BlockSpec, in_size: int) -> int:
        """What a block adds to a network. Raises DeviceTableError if it was not measured."""
        key = block_key(block, in_size)
        if key not in self.blocks_ns:
            raise DeviceTableError(f"the device table has no time of block {key!r}; {self.remeasure()}")
        return round(self.calibration.scale * self.blocks_ns[key])

    def fixed_ns(self, head_channels: int, num_classes: int) -> int:
        """What all networks take with this head. Raises DeviceTableError if it was not measured."""
        by_classes = self.ends_ns.get(str(head_channels))
        if by_classes is None:
            raise DeviceTableError(f"the device table has no head of {head_channels} channels; {self.remeasure()}")
        ends_ns = _between({int(classes): ns for classes, ns in by_classes.items()}, num_classes)
        return round(self.calibration.overhead_ns + self.calibration.scale * (self.stem_ns + ends_ns))

    def network_ns(self, arch: ArchSpec) -> int:
        """What a network of the space takes. Raises DeviceTableError if a part of it was not measured."""
        sizes = block_sizes(arch)
        blocks_ns = (self.block_ns(block, size) for block, size in zip(arch.blocks, sizes, strict=False))
        return self.fixed_ns(arch.head_channels, arch.num_classes) + sum(blocks_ns)

    def remeasure(self) -> str:
        """How to get what the table lacks."""
        return f"measure the device again: {measure_command(self.space, self.resolution, self.machine.threads)}"

    @staticmethod
    def read(path: Path) -> DeviceTable:
        """Raises DeviceTableError, naming what is wrong with the file; OSError if it cannot be read."""
        return DeviceTable.parse(path.read_bytes(), path.name)

    @staticmethod
    def parse(content: bytes | str, name: str) -> DeviceTable:
        """Raises DeviceTableError, naming what is wrong with the content of `name`."""
        try:
            return DeviceTable.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise DeviceTableError(f"{name} is no device table: {place}: {first['msg']}") from error

    def to_text(self) -> str:
        """The content of a file that `read` reads."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"


def measure_command(space: str, resolution: int, threads: int = 1) -> str:
    """The command that measures this device."""
    return f"autonl device measure --space {space} --resolution {resolution} --threads {threads} --out table.json"


def block_key(block: BlockSpec, in_size: int) -> str:
    """The name of a block among distinct ones: input channels, input pixels a side, and the word of the arch string."""
    return f"{block.in_channels}@{in_size} {encode_block(block)}"


def distinct_blocks(space: SearchSpace) -> dict[str, tuple[BlockSpec, int]]:
    """By `block_key`, every block that a network of the space may have, with its input pixels a side, each once."""
    return {block_key(block, size): (block, size) for block, size in _all_blocks(space)}


def _all_blocks(space: SearchSpace) -> Iterator[tuple[BlockSpec, int]]:
    for choices, size in zip(space.blocks, space.sizes, strict=False):
        for option in choices.options():
            if option is not None:
                yield option, size


def _between(times_ns: dict[int, int], classes: int) -> float:
    """Linear between the two nearest numbers of classes, and beyond the last."""
    known = sorted(times_ns)
    upper = next((place for place, each in enumerate(known) if each >= classes and place), len(known) - 1)
    low, high = known[upper - 1], known[upper]
    slope = (times_ns[high] - times_ns[low]) / (high - low)
    return max(0.0, times_ns[low] + slope * (classes - low))
