"""What a search tells, written as fenced rows. Patient with the database, never with a lost lease."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import ArchitectureRecord, Phase, Progress, SavedState
from store.db import UNAVAILABLE
from store.errors import AlreadyWritten
from store.leases import Lease
from store.stores import Stores
from worker.workspace import Workspace

PROGRESS_INTERVAL_S = 1.0
RETRY_S = 1.0

T = TypeVar("T")
log = logging.getLogger(__name__)


class RowSink:
    """A `ProgressSink` that writes to the store. Every method raises LeaseLost if the search has another owner."""

    def __init__(self, stores: Stores, lease: Lease, workspace: Workspace) -> None:
        self._updates = stores.updates
        self._artifacts = stores.artifacts
        self._lease = lease
        self._workspace = workspace
        self._number = 0
        self._told_phase: Phase | None = None
        self._told_at = 0.0

    def progress(self, progress: Progress) -> None:
        """About one row a second; what falls between, or meets a database that is away, is dropped."""
        moment = time.monotonic()
        if progress.phase == self._told_phase and moment - self._told_at < PROGRESS_INTERVAL_S:
            return
        try:
            self._updates.progress(self._lease, progress)
        except UNAVAILABLE as error:
            log.warning("progress not stored: %s", error)
            return
        self._told_phase, self._told_at = progress.phase, moment

    def metrics(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        self._write(lambda lease: self._updates.metrics(lease, phase, epoch, values))

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None:
        self._write(lambda lease: self._updates.event(lease, kind, detail))

    def architecture(self, record: ArchitectureRecord) -> None:
        self._write(lambda lease: self._updates.architecture(lease, record))

    def saved(self, state: SavedState) -> None:
        path = self._workspace.relative(state.path)
        self._write(
            lambda lease: self._updates.saved(
                lease, step=state.step, path=path, sha256=state.sha256, size_bytes=state.size_bytes
            )
        )

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None:
        stored = self._artifacts.put(f"{self._lease.search_id}/{self._lease.fence}/{checkpoint.name}", checkpoint)
        self._write(lambda lease: self._updates.checkpoint(lease, record, stored))

    def _write(self, update: Callable[[Lease], None]) -> None:
        """Write an update exactly once: when the answer to a commit gets lost, its number identifies the repetition."""
        self._number += 1
        lease = replace(self._lease, update_number=self._number)
        with contextlib.suppress(AlreadyWritten):
            retry_while_unavailable(lambda: update(lease))


def retry_while_unavailable(write: Callable[[], T]) -> T:
    """Repeat `write` while the database is away. It cannot go on for ever: the supervisor ends us with its lease."""
    while True:
        try:
            return write()
        except UNAVAILABLE as error:
            log.warning("the database does not answer, trying again: %s", error)
            time.sleep(RETRY_S)
