"""Progress updates: what a search writes while it runs. Progress, metrics, architectures, run states, events.

Every write is fenced: with a lost lease it raises LeaseLost and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, select

from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import KEPT_RUN_STATES, ArchitectureRecord, Phase, PlaceInSupernet, Progress
from store import events
from store.architectures import put_architecture, put_artifact
from store.artifacts import StoredFile
from store.db import Database, now
from store.json_values import plain_json
from store.leases import Lease, require_lease
from store.models import Metric, RunState
from store.other_budgets import queue_other_budgets
from store.supernets import put_supernet

MAX_METRICS = 5000


class UpdateStore:
    """Writes progress updates, and reads the metrics and run states among them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def progress(self, lease: Lease, progress: Progress) -> None:
        """Replace the search's progress; a new phase is also logged as an event."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            if search.phase != progress.phase:
                search.phase = progress.phase
                events.append(session, search, EventKind.PHASE, moment, {"phase": progress.phase})
            search.progress = plain_json(asdict(progress))
            search.progress_at = moment

    def metrics(self, lease: Lease, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        """Append one point to the time series."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            search.metric_seq += 1
            point = Metric(
                search_id=search.id,
                seq=search.metric_seq,
                fence=lease.fence,
                phase=phase,
                epoch=epoch,
                at=now(session),
                values=plain_json(values),
            )
            session.add(point)

    def event(self, lease: Lease, kind: EventKind, detail: Mapping[str, Any]) -> None:
        """Log an event that the search itself reports."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            events.append(session, search, kind, now(session), detail)

    def architecture(self, lease: Lease, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None:
        """Make `record` the search's current best. Its `place` in the supernet is part of the event."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            put_architecture(session, search, record, moment)
            detail: dict[str, Any] = {
                "arch_id": record.arch_id,
                "macs": record.macs,
                "val_top1_pct": record.val_top1_pct,
                "val_images": record.val_images,
            }
            detail |= {} if place is None else _place(place)
            events.append(session, search, EventKind.ARCHITECTURE, moment, detail)

    def checkpoint(self, lease: Lease, record: ArchitectureRecord, stored: StoredFile) -> None:
        """Keep the best architecture of a search that stops early, with a checkpoint to download."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            put_architecture(session, search, record, moment)
            put_artifact(session, search, record.arch_id, "safetensors", stored, moment)
            detail = {"arch_id": record.arch_id, "macs": record.macs, "sha256": stored.sha256}
            events.append(session, search, EventKind.BEST_KEPT, moment, detail)

    def supernet(self, lease: Lease, stored: StoredFile) -> None:
        """Keep the supernet of a search, and queue the searches for its other budgets, which go on from it."""
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            put_supernet(session, search, stored, moment)
            detail = {"size_bytes": stored.size_bytes, "sha256": stored.sha256}
            events.append(session, search, EventKind.SUPERNET_KEPT, moment, detail)
            queue_other_budgets(session, search, moment)

    def saved(self, lease: Lease, *, step: int, path: str, sha256: str, size_bytes: int) -> None:
        """Record a run state at `path`, relative to the searches folder; a step never reached before ends the streak.

        Rows of older run states are deleted, so that `KEPT_RUN_STATES` of them remain over all attempts; the search
        deletes their files.
        """
        with self._database.session_scope() as session:
            search = require_lease(session, lease)
            moment = now(session)
            state = RunState(
                search_id=search.id,
                fence=lease.fence,
                step=step,
                path=path,
                sha256=sha256,
                size_bytes=size_bytes,
                saved_at=moment,
            )
            session.add(state)
            if step > search.saved_step:
                search.saved_step = step
                search.crash_streak = 0
            outdated = delete(RunState).where(RunState.search_id == search.id, RunState.step <= step - KEPT_RUN_STATES)
            session.execute(outdated)
            events.append(session, search, EventKind.RUN_STATE_SAVED, moment, {"step": step, "size_bytes": size_bytes})

    def run_states(self, search_id: str) -> Sequence[RunState]:
        """The run states to resume from, the most advanced one first."""
        query = select(RunState).where(RunState.search_id == search_id)
        with self._database.read_scope() as session:
            return session.scalars(query.order_by(RunState.step.desc(), RunState.fence.desc())).all()

    def metrics_after(self, search_id: str, seq: int = 0, *, limit: int = MAX_METRICS) -> Sequence[Metric]:
        """The points of a search's time series numbered above `seq`, in order, at most `limit` of them."""
        query = select(Metric).where(Metric.search_id == search_id, Metric.seq > seq)
        with self._database.read_scope() as session:
            return session.scalars(query.order_by(Metric.seq).limit(limit)).all()


def _place(place: PlaceInSupernet) -> dict[str, Any]:
    """As part of an event; `ArchitectureHistoryStore` reads it."""
    epoch = {} if place.epoch is None else {"epoch": place.epoch}
    return epoch | {"skipped": list(place.skipped)}
