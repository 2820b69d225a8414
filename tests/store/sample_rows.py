"""Small real values to store, every write of an attempt, and helpers that simulate the passage of time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update

from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.spec import arch_string
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import ArchitectureRecord, Progress
from autonl_core.spec.result import SearchResult
from store.artifacts import StoredFile
from store.db import now
from store.leases import Lease
from store.models import Dataset, Search, WeightSetRow
from store.states import ExitClass, SearchState
from store.stores import Stores

CONFIG = SearchConfig(dataset="digits", flops_budget=400_000)
CHECKPOINT = StoredFile("a/1/model.safetensors", "0" * 64, 10)
FILES = {"safetensors": CHECKPOINT, "onnx": StoredFile("a/1/model.onnx", "2" * 64, 12)}


def queue_search(stores: Stores, **options: Any) -> str:
    """Create a search; returns its id."""
    return stores.searches.create(CONFIG, DIGITS, **options)[0].id


def claim(stores: Stores, owner: str = "worker-1") -> Lease:
    """Claim the next due search; the test knows that there is one."""
    lease = stores.claims.claim(owner)
    assert lease is not None
    return lease


def architecture(seed: int = 0, **measured: Any) -> ArchitectureRecord:
    """A random architecture from the search space of `CONFIG`."""
    import random

    arch = resolve_space(CONFIG, DIGITS).sample(random.Random(seed))
    return ArchitectureRecord(
        arch_id=arch.arch_id,
        arch=arch.to_json(),
        arch_string=arch_string.encode(arch),
        macs=count_macs(arch).total,
        params=count_params(arch),
        **measured,
    )


def result() -> SearchResult:
    """A result as the core returns it."""
    return SearchResult(
        architecture=architecture(val_top1_pct=97.0, test_top1_pct=98.0, test_top5_pct=100.0, trained=True),
        flops_budget=CONFIG.flops_budget,
        slack_pct=1.0,
        test_correct=352,
        test_images=359,
        checkpoint=Path("model.safetensors"),
        checkpoint_sha256="0" * 64,
        weights_sha256="1" * 64,
        seconds_by_phase={"searching": 1.5},
        comparison={"random_top1_pct": float("nan")},
        stop_reason="converged",
        exact=True,
    )


def save(stores: Stores, lease: Lease, step: int) -> None:
    """Record a run state with the number `step`."""
    stores.updates.saved(lease, step=step, path=f"{lease.fence}/{step}", sha256="0" * 64, size_bytes=1)


def crash(stores: Stores, detail: str = "boom", exit_class: ExitClass = ExitClass.CRASHED) -> SearchState:
    """Claim the only search, and crash; if it is queued again, make it due at once."""
    lease = claim(stores)
    state = stores.claims.crashed(lease, exit_class, detail)
    if state == SearchState.QUEUED:
        make_due(stores, lease.search_id)
    return state


def let_time_pass(stores: Stores, search_id: str, seconds: float) -> None:
    """Move all times of the search `seconds` into the past, as if the clock had advanced."""
    with stores.database.session_scope() as session:
        search = session.get_one(Search, search_id)
        for column in Search.__table__.columns:
            moment = getattr(search, column.name)
            if isinstance(moment, datetime):
                setattr(search, column.name, moment - timedelta(seconds=seconds))


def expire(stores: Stores, lease: Lease) -> None:
    """Let the lease have expired a second ago."""
    with stores.database.session_scope() as session:
        past = now(session) - timedelta(seconds=1)
        session.execute(update(Search).where(Search.id == lease.search_id).values(lease_until=past))


def make_due(stores: Stores, search_id: str) -> None:
    """End the wait after a crash."""
    with stores.database.session_scope() as session:
        session.execute(update(Search).where(Search.id == search_id).values(next_run_at=now(session)))


def register(stores: Stores, spec: DatasetSpec) -> None:
    """Register `spec` as a checked dataset. No other dataset may be waiting for its check."""
    assert spec.kind != "builtin"
    stores.datasets.add_path(spec.name, spec.kind, Path(spec.location))
    lease = stores.checks.claim("checker")
    assert lease is not None
    stores.checks.finish(lease, spec, DatasetReport())


def expire_check_leases(stores: Stores) -> None:
    """Let the leases of all checks expire, and end their waits after a crash."""
    with stores.database.session_scope() as session:
        past = now(session) - timedelta(seconds=1)
        for table in (Dataset, WeightSetRow):
            session.execute(update(table).where(table.lease_until.is_not(None)).values(lease_until=past))


def kinds(stores: Stores, search_id: str) -> list[str]:
    """The kinds of all events of a search, in order."""
    return [event.kind for event in stores.events.after(search_id)]


def stored_data(stores: Stores, search_id: str) -> object:
    """Everything that is stored about a search, in a comparable form."""
    with stores.database.read_scope() as session:
        row = session.execute(select(Search.__table__).where(Search.id == search_id)).one_or_none()
    records = [
        stores.searches.attempts(search_id),
        stores.events.after(search_id),
        stores.updates.metrics_after(search_id),
        stores.updates.run_states(search_id),
        stores.architectures.of_search(search_id),
        stores.architectures.artifacts(search_id),
    ]
    plain = [
        [{column.name: getattr(record, column.name) for column in record.__table__.columns} for record in rows]
        for rows in records
    ]
    return row and tuple(row), plain


def delete_all_searches(stores: Stores) -> None:
    """Delete every search with all its rows, in whatever state."""
    with stores.database.session_scope() as session:
        session.execute(delete(Search))


# Every write of an attempt that requires its lease.
WRITES: dict[str, Callable[[Stores, Lease], object]] = {
    "progress": lambda stores, lease: stores.updates.progress(lease, Progress("searching", 0.9)),
    "metrics": lambda stores, lease: stores.updates.metrics(lease, "searching", 1, {"loss": 0.0}),
    "event": lambda stores, lease: stores.updates.event(lease, EventKind.RESUMED, {}),
    "architecture": lambda stores, lease: stores.updates.architecture(lease, architecture(5)),
    "checkpoint": lambda stores, lease: stores.updates.checkpoint(lease, architecture(5), CHECKPOINT),
    "saved": lambda stores, lease: save(stores, lease, 9),
    "finish": lambda stores, lease: stores.claims.finish(lease, result(), FILES),
    "fail": lambda stores, lease: stores.claims.fail(lease, "space-error", "too late"),
    "cancelled": lambda stores, lease: stores.claims.cancelled(lease),
    "gave_back": lambda stores, lease: stores.claims.gave_back(lease),
    "crashed": lambda stores, lease: stores.claims.crashed(lease, ExitClass.CRASHED, "too late"),
    "interrupted": lambda stores, lease: stores.claims.interrupted(lease, "too late"),
}
