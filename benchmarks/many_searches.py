"""A database with many searches: one that really ended, and one that runs, each many times over.

Of every hundred, 97 succeeded and one each is queued, paused and running. A tenth have attempts, architectures and
files. Labels: every tenth is of team `x`, every thousandth of project `rare`. One search has very many events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert, select, text

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec import arch_string
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import ArchitectureRecord, Progress
from autonl_core.spec.result import ResultFile, SearchResult
from store.artifacts import StoredFile
from store.columns import Base
from store.db import now
from store.leases import Lease
from store.models import Architecture, Artifact, Attempt, Dataset, Event, Search, SearchLabel
from store.states import SearchState
from store.stores import Stores

CONFIG = SearchConfig(dataset="digits", flops_budget=400_000)
_BATCH = 2000


@dataclass(frozen=True)
class Filled:
    """Ids of searches to look at."""

    succeeded: str
    running: str
    queued: str
    eventful: str


def fill(stores: Stores, count: int) -> Filled:
    """Add `count` searches, datasets and events to an empty database."""
    running, succeeded = _run(stores), _succeed(stores)
    prototypes = {SearchState.SUCCEEDED: _rows_of(stores, succeeded), SearchState.RUNNING: _rows_of(stores, running)}
    queued = stores.searches.create(CONFIG, DIGITS)[0].id
    prototypes[SearchState.QUEUED] = _rows_of(stores, queued)
    paused = stores.searches.create(CONFIG, DIGITS)[0].id
    stores.control.pause(paused)
    prototypes[SearchState.PAUSED] = _rows_of(stores, paused)
    with stores.database.session_scope() as session:
        began = now(session) - timedelta(days=30)
        for start in range(0, count, _BATCH):
            rows: dict[Table, list[dict[str, Any]]] = {Search.__table__: []}  # type: ignore[dict-item]
            for number in range(start, min(start + _BATCH, count)):
                _add_copy(rows, prototypes[_state_of(number)], number, began + timedelta(seconds=20 * number))
            for table, values in rows.items():
                session.execute(insert(table), values)
        _add_events(session.execute, succeeded, count, began)
        _add_datasets(session.execute, count, began)
        if session.get_bind().dialect.name == "postgresql":  # which does so itself, but only within minutes
            session.execute(text("ANALYZE"))
    return Filled(succeeded, running, queued, succeeded)


def _state_of(number: int) -> SearchState:
    others = {7: SearchState.QUEUED, 37: SearchState.PAUSED, 67: SearchState.RUNNING}
    return others.get(number % 100, SearchState.SUCCEEDED)


def _architecture() -> ArchitectureRecord:
    arch = resolve_space(CONFIG, DIGITS).largest()
    return ArchitectureRecord(
        arch_id=arch.arch_id,
        arch=arch.to_json(),
        arch_string=arch_string.encode(arch),
        macs=count_macs(arch).total,
        params=count_params(arch),
        val_top1_pct=97.0,
        test_top1_pct=98.0,
        test_top5_pct=100.0,
        trained=True,
    )


def _run(stores: Stores) -> str:
    """A search that runs, with a best architecture so far."""
    stores.searches.create(CONFIG, DIGITS)
    lease = _claim(stores)
    stores.updates.architecture(lease, _architecture())
    stores.updates.progress(lease, Progress("searching", 0.4, eta_low_s=100.0, eta_high_s=300.0))
    return lease.search_id


def _succeed(stores: Stores) -> str:
    """A search that ended with a result and its files."""
    stores.searches.create(CONFIG, DIGITS)
    lease = _claim(stores)
    stored = {name: StoredFile(lease.artifact_key(name), "0" * 64, 400_000) for name in ("safetensors", "onnx")}
    result = SearchResult(
        architecture=_architecture(),
        flops_budget=CONFIG.flops_budget,
        slack_pct=1.0,
        test_correct=352,
        test_images=359,
        checkpoint=Path("model.safetensors"),
        checkpoint_sha256="0" * 64,
        weights_sha256="1" * 64,
        seconds_by_phase={"searching": 1.5, "training": 20.0},
        comparison={"random_top1_pct": 10.0},
        stop_reason="converged",
        exact=True,
        files={name: ResultFile(Path(name), "0" * 64, 400_000) for name in stored},
    )
    stores.claims.finish(lease, result, stored)
    return lease.search_id


def _claim(stores: Stores) -> Lease:
    lease = stores.claims.claim("benchmark")
    assert lease is not None
    return lease


def _rows_of(stores: Stores, search_id: str) -> dict[type[Base], Sequence[dict[str, Any]]]:
    """The rows of a search, as they are inserted."""
    found: dict[type[Base], Sequence[dict[str, Any]]] = {}
    with stores.database.read_scope() as session:
        for model in (Search, Attempt, Architecture, Artifact):
            table = model.__table__
            key = table.c.id if model is Search else table.c.search_id
            found[model] = [dict(row) for row in session.execute(select(table).where(key == search_id)).mappings()]
    return found


def _add_copy(
    rows: dict[Table, list[dict[str, Any]]], prototype: dict[type[Base], Sequence[dict[str, Any]]], number: int, at: Any
) -> None:
    search_id = f"{number:016x}"
    for model, originals in prototype.items():
        if model is not Search and number % 10:
            continue
        for place, original in enumerate(originals):
            changed: dict[str, Any] = {"search_id": search_id}
            if model is Search:
                labels = {"team": "x" if number % 10 == 0 else "y"} | (
                    {"project": "rare"} if number % 1000 == 1 else {}
                )
                dataset = "digits" if number % 2 else f"photos-{number % 50}"
                changed = {"id": search_id, "created_at": at, "next_run_at": at, "labels": labels, "dataset": dataset}
                listed = rows.setdefault(SearchLabel.__table__, [])  # type: ignore[arg-type]
                listed += [
                    {"search_id": search_id, "key": key, "value": value, "created_at": at}
                    for key, value in labels.items()
                ]
            elif model is Artifact:
                changed |= {"id": f"{number:012x}{place:04x}", "key": f"{search_id}/{place}"}
            rows.setdefault(model.__table__, []).append(original | changed)  # type: ignore[arg-type]


def _add_events(execute: Any, search_id: str, count: int, at: Any) -> None:
    values = [
        {"search_id": search_id, "seq": seq, "fence": 1, "kind": EventKind.PHASE.value, "at": at, "detail": {}}
        for seq in range(100, 100 + count)
    ]
    for start in range(0, count, _BATCH):
        execute(insert(Event), values[start : start + _BATCH])


def _add_datasets(execute: Any, count: int, at: Any) -> None:
    spec = DIGITS.to_json()
    values = [
        {
            "name": f"set-{number:06d}",
            "state": "ready",
            "spec": spec | {"name": f"set-{number:06d}"},
            "fence": 1,
            "crashes": 0,
            "created_at": at,
            "checked_at": at,
        }
        for number in range(count)
    ]
    for start in range(0, count, _BATCH):
        execute(insert(Dataset), values[start : start + _BATCH])
