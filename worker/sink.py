"""Writes the updates of a running search as fenced rows. Waits for the database, but never outlives a lost lease."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import ArchitectureRecord, Phase, PlaceInSupernet, Progress, SavedState
from autonl_core.wording.event_details import detail_text
from store.artifacts import PLAIN, ServedAs, StoredFile
from store.db import UNAVAILABLE
from store.errors import AlreadyWritten, LeaseLapsed
from store.leases import Lease
from store.run_state_files import KeptState
from store.stores import Stores
from worker.downloads import served_as_format
from worker.phase_spans import PhaseSpans
from worker.retry import retry_while_unavailable
from worker.workspace import Workspace

PROGRESS_INTERVAL_S = 1.0

log = logging.getLogger(__name__)


class RowSink:
    """A `ProgressSink` that writes to the store. Every method raises LeaseLost if another attempt owns the search.

    What it writes is in the log of the attempt too, so that `autonl logs` shows how a search went. A file
    is where other hosts find it before a row names it.

    Args:
        dataset: its name, which names of downloads contain.
    """

    def __init__(self, stores: Stores, lease: Lease, workspace: Workspace, dataset: str) -> None:
        self._updates = stores.updates
        self._artifacts = stores.artifacts
        self._run_states = stores.run_states
        self._dataset = dataset
        self._lease = lease
        self._workspace = workspace
        self._number = 0
        self._written_phase: Phase | None = None
        self._written_at = 0.0
        self._phases = PhaseSpans()

    def close(self) -> None:
        """End the span of the last phase."""
        self._phases.close()

    def progress(self, progress: Progress) -> None:
        """Write about one row a second; updates in between, or while that is not possible, are dropped."""
        self._phases.enter(progress.phase)
        moment = time.monotonic()
        if progress.phase == self._written_phase and moment - self._written_at < PROGRESS_INTERVAL_S:
            return
        try:
            self._updates.progress(self._lease, progress)
        except LeaseLapsed:  # it will be regained, or lost to another attempt
            return
        except UNAVAILABLE as error:
            log.warning("progress not stored, database unavailable: %s", error)
            return
        if progress.phase != self._written_phase:
            log.info("phase %s", progress.phase)
        self._written_phase, self._written_at = progress.phase, moment

    def metrics(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        shown = {name: value for name, value in values.items() if not name.startswith("gate/")}  # there are hundreds
        log.info("%s, epoch %d: %s", phase, epoch, detail_text(shown))
        self._write(lambda lease: self._updates.metrics(lease, phase, epoch, values))

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None:
        log.info("%s: %s", kind.replace("_", " "), detail_text(detail))
        self._write(lambda lease: self._updates.event(lease, kind, detail))

    def architecture(self, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None:
        log.info("best network: %s MACs, %s", f"{record.macs:,}", record.arch_string)
        self._write(lambda lease: self._updates.architecture(lease, record, place))

    def saved(self, state: SavedState) -> None:
        log.info("run state %d saved", state.step)
        path = self._workspace.relative(state.path)
        kept = KeptState(path, state.step)
        outdated = retry_while_unavailable(lambda: self._run_states.keep(self._lease, kept, state.path, state.sha256))
        self._write(
            lambda lease: self._updates.saved(
                lease, step=state.step, path=path, sha256=state.sha256, size_bytes=state.size_bytes
            )
        )
        retry_while_unavailable(lambda: self._run_states.delete(outdated))

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None:
        served_as = served_as_format("safetensors", self._dataset, record.arch_id)
        stored = self._put(checkpoint, served_as)
        self._write(lambda lease: self._updates.checkpoint(lease, record, stored))

    def supernet_kept(self, path: Path) -> None:
        stored = self._put(path, PLAIN)
        self._write(lambda lease: self._updates.supernet(lease, stored))

    def _put(self, file: Path, served_as: ServedAs) -> StoredFile:
        key = self._lease.artifact_key(file.name)
        return retry_while_unavailable(lambda: self._artifacts.put(key, file, served_as))

    def _write(self, update: Callable[[Lease], None]) -> None:
        """Write an update exactly once: its number reveals a retry of a commit whose answer was lost."""
        self._number += 1
        lease = replace(self._lease, update_number=self._number)
        with contextlib.suppress(AlreadyWritten):
            retry_while_unavailable(lambda: update(lease))
