"""What a slot computes on, and how it gets it: here the CPU, in `gpu_slot.py` GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from autonl_core.spec.config import ResourceClass
from store.turns import SERVED_WITHOUT_GPU


class Device(Protocol):
    """What one search computes on."""

    @property
    def name(self) -> str:
        """For log lines: `cpu`, or the UUID of a GPU or of a MIG slice."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the environment of a search process says of it."""

    @property
    def open_files(self) -> Sequence[int]:
        """File descriptors that a search process inherits: no other process gets the device while one has them."""

    def sickness(self, timeout_s: float) -> str | None:
        """Why searches cannot compute on it, found out within `timeout_s`; None: they can."""

    def leave(self) -> None:
        """Its search process, which goes on, does not compute on it any more: another one may."""


class Slot(Protocol):
    """Where one search runs at a time."""

    @property
    def served(self) -> Sequence[ResourceClass]:
        """The resource classes of the searches that it takes."""

    @property
    def preferred(self) -> Device:
        """The device that it will probably get next."""

    @property
    def exports_elsewhere(self) -> bool:
        """Whether a search does not need the device to export, so that the next one may begin on it meanwhile."""

    def take(self, any_due: Callable[[], bool]) -> AbstractContextManager[Device | None]:
        """A device for the length of the block; None if it gets none, perhaps because no search is due for it.

        Args:
            any_due: asks the database whether a search is due that the slot serves.
        """


@dataclass(frozen=True)
class Cpu:
    """The CPU, of which every slot has a share. It is always there and never sick."""

    name: str = "cpu"
    environment: Mapping[str, str] = field(default_factory=dict)
    open_files: Sequence[int] = ()

    def sickness(self, timeout_s: float) -> str | None:
        del timeout_s
        return None

    def leave(self) -> None:
        """It is never left: a search exports on the CPU too."""


CPU = Cpu()


class CpuSlot:
    """A slot on the CPU: it costs nothing to take."""

    served: Sequence[ResourceClass] = SERVED_WITHOUT_GPU
    preferred: Device = CPU
    exports_elsewhere: bool = False

    @contextmanager
    def take(self, any_due: Callable[[], bool]) -> Iterator[Device | None]:
        del any_due  # the claim itself finds out
        yield self.preferred
