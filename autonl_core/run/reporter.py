"""Reports how a search goes: phases and their seconds, progress, points of curves, events. The only one that does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autonl_core.nn.network import Network
from autonl_core.run.eta import NOT_MEASURED, Eta
from autonl_core.run.pace import Pace
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.history import History, PlacedNetwork
from autonl_core.spec.progress import ArchitectureRecord, Phase, PlaceInSupernet, Progress, ProgressSink, SavedState

REPORT_INTERVAL_S = 0.5


@dataclass(frozen=True)
class BestSoFar:
    """A network within the budget; without `val_top1_pct`, that and its batch norms are still to be measured."""

    network: Network
    val_top1_pct: float | None = None


Best = Callable[[], BestSoFar | None]


class Reporter:
    """What an attempt has done so far, and how a `ProgressSink` hears of it.

    `exact` says whether the search can be repeated bit for bit: it can until `lose_exactness` is called.
    """

    def __init__(self, sink: ProgressSink, pace: Pace, *, exact: bool, preparing_s: float) -> None:
        self.pace = pace
        self.exact = exact
        self.history = History()
        self.best: Best | None = None  # of the phase under way, while it has one
        self._sink = sink
        self._eta = Eta()
        self._seconds_by_phase: dict[str, float] = {"preparing": preparing_s}
        self._phase: Phase = "preparing"
        self._counted_until = time.monotonic()
        self._reported_at = 0.0

    def resume(self, seconds_by_phase: Mapping[str, float], history: History, work_done: float) -> None:
        """Go on from what an earlier attempt had done."""
        self._seconds_by_phase = dict(seconds_by_phase)
        self.history = history
        self.pace.resume(work_done)

    def resumed(self, phase: Phase) -> None:
        """Tell where the search goes on: in the middle of `phase`."""
        self.event(EventKind.RESUMED, {"phase": phase, "fraction": round(self.pace.fraction, 4)})

    @contextmanager
    def phase(self, phase: Phase, best: Best | None = None) -> Iterator[None]:
        """Report the beginning of a phase, and count its seconds. `best`: what a search that stops in it keeps."""
        self._phase, self.best = phase, best or self.best
        self._counted_until = time.monotonic()
        self._reported_at = 0.0
        self.progress()
        yield
        self._count_seconds()

    @property
    def seconds_by_phase(self) -> Mapping[str, float]:
        """Seconds of work by phase over all attempts, up to now."""
        self._count_seconds()
        return dict(self._seconds_by_phase)

    def progress(
        self, *, epoch: int = 0, epochs: int = 0, step: int = 0, steps: int = 0, baseline: str | None = None
    ) -> None:
        """Report where the search is, at most every half second."""
        now = time.monotonic()
        if now - self._reported_at >= REPORT_INTERVAL_S:
            self._reported_at = now
            where = Progress(self._phase, self.pace.fraction, epoch, epochs, step, steps, baseline=baseline)
            self._sink.progress(self._with_eta(where, now))

    def _with_eta(self, where: Progress, moment: float) -> Progress:
        pace = self.pace
        self._eta.observe(moment, time.process_time(), self._phase, pace.done)
        left = self._eta.left(self._phase, pace.work, pace.done)
        if left is None:
            return replace(where, eta_unknown=NOT_MEASURED)
        low_s, high_s = round(left.low_s, 1), round(left.high_s, 1)
        eta_s = min(max(pace.eta_s() or low_s, low_s), high_s)
        return replace(where, eta_s=eta_s, eta_low_s=low_s, eta_high_s=high_s)

    def add_work(self, macs: float) -> None:
        """Count image-MACs as done."""
        self.pace.done += macs

    def ended(self, share: float) -> None:
        """Report how much of what follows the counted work is done, 0 to 1; of that work nothing is left."""
        self.pace.done, self.pace.ended = self.pace.total, share
        self._reported_at = 0.0
        self.progress()

    def add_point(self, epoch: int, values: Mapping[str, float]) -> None:
        """Report one point of the time series, and keep it for the report."""
        elapsed_s = sum(self._seconds_by_phase.values()) + time.monotonic() - self._counted_until
        self.history.add(self._phase, epoch, round(elapsed_s, 2), values)
        self._sink.metrics(self._phase, epoch, values)

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None:
        """Report something that a user may want to read later; `detail` is JSON."""
        self._sink.event(kind, detail)

    def architecture(self, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None:
        """Report the current best architecture; `place`: where it stands in the supernet, if that is new."""
        if place is not None:
            self.history.place(PlacedNetwork(place.epoch, record.arch_string, place.skipped))
        self._sink.architecture(record, place)

    def saved(self, state: SavedState) -> None:
        """Report that a run state was written."""
        self._sink.saved(state)

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None:
        """Hand over the best network of a search that stops early."""
        self._sink.best_kept(record, checkpoint)

    def supernet_kept(self, path: Path) -> None:
        """Hand over the file of the trained supernet."""
        self._sink.supernet_kept(path)

    def lose_exactness(self) -> None:
        """From now on the search cannot be repeated bit for bit."""
        self.exact = False

    def memory_ran_out(self, parts: int) -> None:
        """Report that batches are computed in `parts` parts from now on."""
        self.lose_exactness()
        self.event(EventKind.MICRO_BATCHES, {"parts": parts})

    def _count_seconds(self) -> None:
        now = time.monotonic()
        spent_s = now - self._counted_until
        self._seconds_by_phase[self._phase] = self._seconds_by_phase.get(self._phase, 0.0) + spent_s
        self._counted_until = now
