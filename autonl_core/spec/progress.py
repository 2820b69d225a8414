"""How a running search reports to the outside, and hears from it: the only way out of the core.

`run_search` calls a `ProgressSink` and asks a `StopToken`; what these do (print, write a database row, nothing) is
not its concern. All calls come from the thread that runs the search, in order. A sink may raise: the search
then ends with that exception, and nothing more is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from autonl_core.spec.event_kinds import EventKind

Phase = Literal["preparing", "adapting", "searching", "deriving", "training", "evaluating", "exporting"]
PHASES: tuple[Phase, ...] = ("preparing", "adapting", "searching", "deriving", "training", "evaluating", "exporting")
StopRequest = Literal["cancel", "pause", "drain", "spent"]  # spent: the compute that the search may use
KEPT_RUN_STATES = 2  # the newest, over all attempts: if the last one is damaged, the one before it serves


@dataclass(frozen=True)
class Progress:
    """Where a search is: `fraction` (0 to 1) and `eta_s` of the whole search, `step` and `epoch` of the phase.

    `epoch` is the one under way, counted from 1, of the network that is trained: the one named `baseline`, if any. The
    search is likely to end in `eta_low_s` to `eta_high_s` seconds; as long as that is not known, `eta_unknown` says
    why.
    """

    phase: Phase
    fraction: float
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    eta_s: float | None = None
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    eta_unknown: str | None = None
    baseline: str | None = None


@dataclass(frozen=True)
class ArchitectureRecord:
    """An architecture worth reporting: the current best of a search, or its result.

    `arch` is the JSON form of an `ArchSpec`. `val_top1_pct` is measured on `val_images` images, on shared or briefly
    trained weights while the search goes on (`trained` False); `test_top1_pct` on the test split, once, at the end.
    """

    arch_id: str
    arch: Mapping[str, Any]
    arch_string: str
    macs: int
    params: int
    val_top1_pct: float | None = None
    val_images: int | None = None
    test_top1_pct: float | None = None
    test_top5_pct: float | None = None
    trained: bool = False


@dataclass(frozen=True)
class PlaceInSupernet:
    """Where the blocks of a network stand in the supernet that it comes from: one after the other, at all positions
    but those that are `skipped`, which count from 1.

    `epoch`: after how many epochs of the supernet it was the network that would be derived; None: it is derived.
    """

    skipped: tuple[int, ...]
    epoch: int | None = None


@dataclass(frozen=True)
class SavedState:
    """A run state on disk, complete and fsynced: from it the search can be resumed."""

    path: Path
    sha256: str
    size_bytes: int
    step: int  # counts run states of this search, over all attempts: 1, 2, 3, ...


class ProgressSink(Protocol):
    """Receives what a search reports."""

    def progress(self, progress: Progress) -> None:
        """The search moved; at least every few seconds."""

    def metrics(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        """One point of the time series: finite or not, the sink decides how to store it."""

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None:
        """Something a user may want to read later, e.g. `unreadable_images`. `detail` is JSON."""

    def architecture(self, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None:
        """The current best architecture changed. `place`: once an epoch of the supernet has ended, or it is derived."""

    def saved(self, state: SavedState) -> None:
        """A run state was written."""

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None:
        """The search stops early; its best so far, with the weights it has by now, is the file at `checkpoint`."""

    def supernet_kept(self, path: Path) -> None:
        """The supernet is trained; the file at `path` lets a later search go on from it."""


class StopToken(Protocol):
    """Asked between steps; must be cheap."""

    def stop_requested(self) -> StopRequest | None:
        """None to go on; else the search saves, unless it is only drained keeps its best so far, and raises
        `Interrupted`."""


class Silent:
    """A sink that drops everything and a token that never stops: for scripts and tests."""

    def progress(self, progress: Progress) -> None: ...

    def metrics(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None: ...

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None: ...

    def architecture(self, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None: ...

    def saved(self, state: SavedState) -> None: ...

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None: ...

    def supernet_kept(self, path: Path) -> None: ...

    def stop_requested(self) -> StopRequest | None:
        return None
