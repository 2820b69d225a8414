"""The supernet of a search, as a file from which later searches go on: its weights, and the teacher if it has one.

Both learned from the images that fit weights; the validation images, which chose, are in neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from autonl_core.errors import ArchError, CheckpointError
from autonl_core.nn.safetensors_file import save_tensors
from autonl_core.run.adapted import Adapted
from autonl_core.spec.arch import ArchSpec
from autonl_core.supernet.gates import Gate, GateTable
from autonl_core.supernet.supernet import Supernet

FORMAT = "autonl-supernet/1"
_SUPERNET, _TEACHER = "supernet.", "teacher."

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class KeptTeacher:
    """The fine-tuned network of the earlier search; its channels are ordered by importance."""

    arch: ArchSpec
    weights: Weights
    val_top1_pct: float | None


@dataclass(frozen=True)
class KeptSupernet:
    """What an earlier search leaves to a later one. Without a `teacher`, it started from random weights.

    `gates`: how likely each gate is open, by its name; empty in files of earlier versions.
    """

    space: str  # name of the search space
    num_classes: int
    weights: Weights
    teacher: KeptTeacher | None = None
    gates: Mapping[str, float] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors; the file has a few kilobytes more."""
        tensors = [*self.weights.values(), *(self.teacher.weights.values() if self.teacher else ())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def head_channels(self) -> int:
        """Width of its head."""
        return self.weights["head.conv.weight"].shape[0]

    @staticmethod
    def of(
        supernet: Weights, probabilities: Sequence[float], table: GateTable, adapted: Adapted | None
    ) -> KeptSupernet:
        """Of a search in its middle: the supernet is trained, nothing is derived yet."""
        kept = None
        if adapted is not None:
            teacher = adapted.teacher
            kept = KeptTeacher(teacher.arch, teacher.state_dict(), adapted.teacher_val_top1_pct)
        gates = dict(zip(map(_name_of, table.gates), probabilities, strict=True))
        return KeptSupernet(table.space.name, table.space.num_classes, supernet, kept, gates)

    def probabilities(self, table: GateTable) -> tuple[float, ...] | None:
        """How likely each gate of `table` is open, (gates,); undecided if it is new at that resolution.

        None: that was not kept.
        """
        return tuple(self.gates.get(_name_of(gate), 0.5) for gate in table.gates) if self.gates else None

    def save(self, path: Path) -> None:
        """Write it to `path`, atomically."""
        tensors = {_SUPERNET + name: value for name, value in self.weights.items()}
        metadata = {"format": FORMAT, "space": self.space, "num_classes": str(self.num_classes)}
        metadata["gates"] = json.dumps(self.gates, sort_keys=True)
        if self.teacher is not None:
            tensors |= {_TEACHER + name: value for name, value in self.teacher.weights.items()}
            about = {"arch": self.teacher.arch.to_json(), "val_top1_pct": self.teacher.val_top1_pct}
            metadata["teacher"] = json.dumps(about, sort_keys=True)
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_tensors(path, plain, metadata)

    @staticmethod
    def load(path: Path) -> KeptSupernet:
        """Read a file of `save`, onto the CPU. Raises CheckpointError if it is none."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path} has format {metadata.get('format')!r}; this version reads {FORMAT!r}")
            about = json.loads(metadata["teacher"]) if "teacher" in metadata else None
            teacher = None
            if about is not None:
                arch = ArchSpec.from_json(about["arch"])
                teacher = KeptTeacher(arch, _below(_TEACHER, tensors), about["val_top1_pct"])
            weights = _below(_SUPERNET, tensors)
            gates = json.loads(metadata.get("gates", "{}"))
            return KeptSupernet(metadata["space"], int(metadata["num_classes"]), weights, teacher, gates)
        except (OSError, SafetensorError, ArchError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path} is not a readable supernet: {error!r}") from error

    @torch.no_grad()
    def start(self, supernet: Supernet) -> None:
        """Give `supernet`, of the same space at any resolution, these weights.

        Where its maps are so small that its kernels are, a kernel loses its rim; where they are larger, the rim that
        the kernel does not have yet is zero.

        Raises:
            CheckpointError: it is of another space, or for other classes.
        """
        space = supernet.table.space
        if (space.name, space.num_classes) != (self.space, self.num_classes):
            raise CheckpointError(
                f"the kept supernet is of {self.space!r} with {self.num_classes} classes, and the search is in "
                f"{space.name!r} with {space.num_classes}"
            )
        ours = supernet.state_dict()
        if ours.keys() != self.weights.keys():
            strangers = ", ".join(sorted(ours.keys() ^ self.weights.keys()))
            raise CheckpointError(f"the kept supernet does not fit {space.name!r}: one of both lacks {strangers}")
        for name, value in self.weights.items():
            _copy_centre(ours[name], value)


def _name_of(gate: Gate) -> str:
    return f"{gate.position}.{gate.name}"


def _below(prefix: str, tensors: Weights) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _copy_centre(target: Tensor, source: Tensor) -> None:
    """Copy a tensor, or the centre of a kernel (C, 1, K, K) into one of another size."""
    if target.shape == source.shape:
        target.copy_(source)
        return
    margin = (target.shape[-1] - source.shape[-1]) // 2
    target.zero_()
    if margin > 0:
        target[..., margin:-margin, margin:-margin] = source
    else:
        target.copy_(source[..., -margin:margin, -margin:margin])
