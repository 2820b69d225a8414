"""Every error the core raises on purpose.

AutonlError
├── UnknownMember       a registry has no member of this name
├── DuplicateMember     two members of a registry claim one name
├── ArchError           an architecture or arch string breaks the rules of `arch.py`
├── SpaceError          a search space is unknown, or cannot serve this resolution
├── BudgetError         a MACs budget lies outside what a search space can reach
├── ConstraintError     no network of a search space meets a limit other than that of MACs
├── DeviceTableError    a device table cannot be read, or does not cover a search
├── DatasetError        a dataset is missing, malformed or too small
│   └── AmbiguousLayout     a dataset can be read in several ways
├── DatasetUnavailable  the bucket that a dataset is in does not respond; it may be asked again
├── ImageError          an image cannot be read, or should not be
├── CheckpointError     a checkpoint is corrupt, foreign or does not fit
│   ├── CheckpointCorrupt   no run state that was saved can be read any more
│   └── CheckpointMisfit    tensors are missing, unexpected or misshaped for an architecture
├── WeightSetError      a weight set is described by values that cannot be right
├── ParentError         a search cannot go on from the search that it names
├── PrecisionError      the processor cannot compute in the precision that was asked for, or only slowly
├── FormatUnavailable   an export format needs packages that are not installed
├── RanksError          as many processes as were started cannot compute a search together
├── OtherVersion        what another version of this program stored has parts that this one does not know
├── VerificationError   an exported network does not score, or cost, what was reported
├── Diverged            a loss or a gradient became NaN or infinite and stayed so
└── Interrupted         the caller asked the search to stop; its newest run state continues it
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_SHOWN_CLASSES = 5  # in the text of an error


class AutonlError(Exception):
    """Base of all errors a caller can act on. The message names the value, the limit and the way out."""


class UnknownMember(AutonlError):
    """A registry has no member of this name; the message lists the known ones."""


class DuplicateMember(AutonlError):
    """Two members of a registry claim one name, or a file defines a member of another name than its own."""


class ArchError(AutonlError):
    """An architecture or an arch string is malformed."""


class SpaceError(AutonlError):
    """A search space is unknown or cannot serve the requested resolution or class count."""


class BudgetError(AutonlError):
    """A MACs budget cannot be met. `feasible_macs` is the (smallest, largest) network of the space."""

    def __init__(self, message: str, *, feasible_macs: tuple[int, int]) -> None:
        super().__init__(message)
        self.feasible_macs = feasible_macs


class ConstraintError(AutonlError):
    """No network of the space meets a limit. `name` is that of the constraint, `least` what every network has."""

    def __init__(self, message: str, *, name: str, least: int) -> None:
        super().__init__(message)
        self.name, self.least = name, least


class DeviceTableError(AutonlError):
    """A device table cannot be read, or lacks what a search with a limit of latency needs."""


class DatasetError(AutonlError):
    """A dataset is missing, malformed or too small to search on."""


class DatasetUnavailable(AutonlError):
    """The bucket that a dataset is in does not respond, or not in time. It may be asked again."""


class LayoutReading(NamedTuple):
    """One way to read a dataset: how to ask for it, and the images of each class."""

    layout: str
    images: Mapping[str, int]

    def in_words(self) -> str:
        """Such as "3 classes: cat (36), dog (36), emu (12)"."""
        names = sorted(self.images)
        shown = ", ".join(f"{name} ({self.images[name]:,})" for name in names[:_SHOWN_CLASSES])
        return f"{len(names):,} classes: {shown}{', ...' if len(names) > _SHOWN_CLASSES else ''}"


class AmbiguousLayout(DatasetError):
    """A dataset can be read in several ways, which are the `readings`: its user has to choose."""

    def __init__(self, where: str, why: str, readings: Sequence[LayoutReading]) -> None:
        ways = "; ".join(f"layout={reading.layout} for {reading.in_words()}" for reading in readings)
        ask = "choose how to read it" if len(readings) > 1 else "if that is what it means, choose"
        super().__init__(f"{where} {why}: {ask}: {ways}")
        self.readings = tuple(readings)


class ImageError(AutonlError):
    """An image is damaged, of an unknown format, or larger than memory is meant for. The rest of its set is usable."""


class CheckpointError(AutonlError):
    """A checkpoint is corrupt, was written for another network, or misses tensors."""


class CheckpointCorrupt(CheckpointError):
    """Run states were saved, and every one is missing or damaged: to start over silently would hide the loss."""


class Misfit(NamedTuple):
    """A tensor that does not fit: the shape that the architecture needs, and the one found; None: there is none."""

    name: str
    needed: tuple[int, ...] | None
    found: tuple[int, ...] | None

    def __str__(self) -> str:
        if self.found is None:
            return f"missing {self.name}"
        if self.needed is None:
            return f"unexpected {self.name}"
        return f"{self.name} has shape {self.found}, the architecture needs {self.needed}"


class CheckpointMisfit(CheckpointError):
    """Tensors do not fit an architecture. `misfits` are all of them."""

    def __init__(self, message: str, misfits: Sequence[Misfit]) -> None:
        super().__init__(message)
        self.misfits = tuple(misfits)


class WeightSetError(AutonlError):
    """A weight set is described by values that cannot be right, such as a negative deviation."""


class ParentError(AutonlError):
    """A search cannot go on from the search that it names as its parent."""


class PrecisionError(AutonlError):
    """The processor has no instructions for the precision asked for, or networks do not run in it."""


class FormatUnavailable(AutonlError):
    """An export format needs packages that are not installed where searches run."""


class RanksError(AutonlError):
    """The number of ranks does not divide the parts of a batch."""


class OtherVersion(AutonlError):
    """Another version stored this, with fields or values that this one does not know; to ignore them would be wrong."""


class VerificationError(AutonlError):
    """What was exported is not what was measured: accuracy, MACs or weights differ after reloading."""


class Diverged(AutonlError):
    """Training produced NaN or infinite values and did not recover."""


class Interrupted(AutonlError):
    """The caller asked for a stop. The run state was saved; `reason` is what the stop token said."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stopped on request: {reason}")
        self.reason = reason


# How libraries that have no type for it say that memory ran out: torch on CPU; ONNX Runtime; the convolutions below
# torch, which do not say why they fail, but with shapes that worked a step before there is no other reason; libraries
# of CUDA, and of these cuDNN, for which torch tries one engine after the other until none is left that fits.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "bad allocation",
    "Failed to allocate memory",
    "could not create a primitive",
    "could not execute a primitive",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",
)


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the quota, the limit of one file


class DiskReserved(OSError):
    """The disk has room, but not beside what is kept free on it; or it has no room at all.

    Attributes:
        free_bytes, needed_bytes, reserve_bytes: what is free, what was to be written, and what is to stay free.
    """

    def __init__(self, folder: Path, free_bytes: int, needed_bytes: int, reserve_bytes: int) -> None:
        reserve = f" beside the reserve of {reserve_bytes:,}" if reserve_bytes else ""
        said = f"{free_bytes:,} bytes are free, {needed_bytes:,} needed{reserve}"
        super().__init__(errno.ENOSPC, said, str(folder))
        self.free_bytes, self.needed_bytes, self.reserve_bytes = free_bytes, needed_bytes, reserve_bytes


class StepTooLarge(MemoryError):
    """Memory runs out for a training step, in however small parts its batch is computed."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, of whatever library, says that memory ran out on the host or on a device."""
    short = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return short or any(said in str(error) for said in _OUT_OF_MEMORY)


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` says that there is no room for a file."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL
