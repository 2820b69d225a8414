"""What a search reported of its network after each epoch of its supernet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.architecture_history import ReportedNetwork
from autonl_core.spec.event_kinds import EventKind
from store.db import Database
from store.models import Architecture, Event, Metric

_PHASE = "searching"  # in which the supernet learns


class ArchitectureHistoryStore:
    """Reads it from events, whose detail says where networks stand, architectures and metrics."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_search(self, search_id: str) -> list[ReportedNetwork]:
        """In the order of the reports; without those of versions that did not say where networks stand."""
        with self._database.read_scope() as session:
            of_kind = select(Event).where(Event.search_id == search_id, Event.kind == EventKind.ARCHITECTURE.value)
            events = session.scalars(of_kind.order_by(Event.seq)).all()
            points = session.execute(
                select(Metric.fence, Metric.epoch, Metric.values)
                .where(Metric.search_id == search_id, Metric.phase == _PHASE)
                .order_by(Metric.seq)
            ).all()
            rows = session.execute(
                select(Architecture.arch_id, Architecture.arch).where(Architecture.search_id == search_id)
            ).all()
        values = {(point.fence, point.epoch): point.values for point in points}
        architectures = {row.arch_id: ArchSpec.from_json(row.arch) for row in rows}
        placed = [event for event in events if "skipped" in event.detail]
        return [_reported(event, architectures, values) for event in placed]


def _reported(
    event: Event,
    architectures: Mapping[str, ArchSpec],
    values: Mapping[tuple[int, int | None], Mapping[str, Any]],
) -> ReportedNetwork:
    detail, epoch = event.detail, event.detail.get("epoch")
    return ReportedNetwork(
        epoch=epoch,
        attempt=event.fence,
        at=event.at,
        arch=architectures[detail["arch_id"]],
        skipped=tuple(detail["skipped"]),
        val_top1_pct=detail["val_top1_pct"],
        values=values.get((event.fence, epoch), {}),
    )
