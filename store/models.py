"""The tables. One row of `searches` is one job: it alone decides what happens to the search, never a broker message.

Every write of a running search names its `fence`, which each claim raises by one, so a worker that lost its lease
cannot change anything. `events`, `metrics` and `attempts` are append-only.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

from store.columns import Base, Json, partial_index, words
from store.states import CLAIMED, FINAL, DatasetState, ExitClass, SearchState, StopReason, WeightSetState
from store.tenant_rows import DEFAULT_TENANT, TENANT_ID, OfTenant, Tenant


def _one_of(column: str, values: list[str]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in sorted(values))})"


_IS_QUEUED = "state = 'queued'"
_IS_CLAIMED = _one_of("state", [state.value for state in CLAIMED])
_IS_FINAL = _one_of("state", [state.value for state in FINAL])


# The ways in which searches are listed, and the columns that each compares; all are in the order of their creation.
_LISTINGS = {"newest": [], "state": ["state"], "dataset": ["dataset"], "dataset_state": ["dataset", "state"]}
_RELATIONS = ("parent", "family", "first_repeat")
_TURN = ("tenant_id", "resource_class", "priority", "created_at", "id", "next_run_at")  # as `store/turns.py` asks


class Search(OfTenant, Base):
    """One search: its configuration, its progress, who runs it, how it ended."""

    __tablename__ = "searches"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    # Raised by triggers of the database whenever anything changes that GET shows. After a write, read it again.
    version: Mapped[int] = mapped_column(BigInteger, default=1, server_default="1")
    config: Mapped[dict[str, Any]]  # SearchConfig
    # Taken from `config` by a trigger of the database, for its indexes.
    parent: Mapped[str | None] = mapped_column(String(16))  # the search that it goes on from
    family: Mapped[str | None] = mapped_column(String(16))  # the first of those that share a supernet for their budgets
    first_repeat: Mapped[str | None] = mapped_column(String(16))  # the first of those that differ only in the seed
    labels: Mapped[dict[str, Any]] = mapped_column(Json, default=dict, server_default="{}")  # also `SearchLabel` rows
    dataset: Mapped[str] = mapped_column(String(64))
    dataset_spec: Mapped[dict[str, Any]]  # DatasetSpec as it was when the search was accepted
    priority: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    resource_class: Mapped[str] = mapped_column(String(8), default="any", server_default="any")
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    body_sha256: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))  # of the request that made it
    traceparent: Mapped[str | None] = mapped_column(String(64))  # the span of that request, if it was traced

    state: Mapped[SearchState] = mapped_column(words(SearchState), default=SearchState.QUEUED)
    phase: Mapped[str | None] = mapped_column(String(16))
    progress: Mapped[dict[str, Any] | None]  # Progress
    progress_at: Mapped[datetime | None]
    best_arch_id: Mapped[str | None] = mapped_column(String(16))
    result: Mapped[dict[str, Any] | None]  # SearchResult
    stop_reason: Mapped[StopReason | None] = mapped_column(words(StopReason))
    error: Mapped[dict[str, Any] | None]  # {"type", "detail"}

    fence: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str | None] = mapped_column(String(128))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    crash_streak: Mapped[int] = mapped_column(Integer, default=0)
    saved_step: Mapped[int] = mapped_column(Integer, default=0)  # highest run state so far
    event_seq: Mapped[int] = mapped_column(Integer, default=0)
    announced_seq: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # see store/webhooks/feed.py
    metric_seq: Mapped[int] = mapped_column(Integer, default=0)
    report_seq: Mapped[int] = mapped_column(Integer, default=0)  # newest numbered update of the newest attempt
    ring_count: Mapped[int] = mapped_column(Integer, default=0)

    created_at: Mapped[datetime]
    next_run_at: Mapped[datetime]
    last_rung_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    beat_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(_one_of("state", [state.value for state in SearchState]), name="state"),
        CheckConstraint(f"({_IS_CLAIMED}) = (owner IS NOT NULL)", name="owner_holds_claim"),
        CheckConstraint(f"({_IS_FINAL}) = (finished_at IS NOT NULL)", name="finished_when_final"),
        CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="error_when_failed"),
        CheckConstraint("(state = 'succeeded') = (result IS NOT NULL)", name="result_when_succeeded"),
        UniqueConstraint("tenant_id", "idempotency_key"),
        *(Index(f"ix_searches_{name}", "tenant_id", *first, "created_at", "id") for name, first in _LISTINGS.items()),
        *(partial_index(f"ix_searches_{name}", "tenant_id", name, where=f"{name} IS NOT NULL") for name in _RELATIONS),
        partial_index("ix_searches_queued", "created_at", "id", where=_IS_QUEUED),
        partial_index("ix_searches_due", "next_run_at", where=_IS_QUEUED),
        partial_index("ix_searches_unannounced", "id", where="event_seq > announced_seq"),
        partial_index("ix_searches_turns", *_TURN, where=_IS_QUEUED),
        partial_index("ix_searches_claimed", "lease_until", where=_IS_CLAIMED),
        partial_index("ix_searches_running", "tenant_id", where=_IS_CLAIMED),
        partial_index("ix_searches_finished", "finished_at", where="finished_at IS NOT NULL"),
    )


class OfSearch:
    """A row that belongs to a search, and so to the tenant of the search."""

    search_id: Mapped[str] = mapped_column(ForeignKey(Search.id, ondelete="CASCADE"), primary_key=True, sort_order=-1)


class SearchLabel(OfTenant, OfSearch, Base):
    """A label of a search, by which searches are found."""

    __tablename__ = "search_labels"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]  # of the search

    __table_args__ = (Index("ix_search_labels_newest", "tenant_id", "key", "value", "created_at", "search_id"),)


class Attempt(OfSearch, Base):
    """One claim of a search, and how it ended."""

    __tablename__ = "attempts"

    fence: Mapped[int] = mapped_column(Integer, primary_key=True)
    owner: Mapped[str] = mapped_column(String(128))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    exit_class: Mapped[ExitClass | None] = mapped_column(words(ExitClass))
    detail: Mapped[str | None] = mapped_column(Text)
    log_tail: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(64))  # the supervisor's span, if it is traced
    compute_s: Mapped[float] = mapped_column(default=0.0, server_default="0")  # CPU time of its process, so far

    __table_args__ = (CheckConstraint("(ended_at IS NULL) = (exit_class IS NULL)", name="ended_with_a_class"),)


class Event(OfSearch, Base):
    """Something that happened to a search; `seq` counts 1, 2, 3, ... per search, without gaps."""

    __tablename__ = "events"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    fence: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]


class Metric(OfSearch, Base):
    """One point of a search's time series; values that were not finite are null."""

    __tablename__ = "metrics"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    fence: Mapped[int] = mapped_column(Integer)
    phase: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    values: Mapped[dict[str, Any]]


class Architecture(OfSearch, Base):
    """An architecture that a search reported: its best at some time, or its result."""

    __tablename__ = "architectures"

    arch_id: Mapped[str] = mapped_column(String(16), primary_key=True, index=True)
    arch: Mapped[dict[str, Any]]  # ArchSpec
    arch_string: Mapped[str] = mapped_column(Text)
    macs: Mapped[int] = mapped_column(BigInteger)
    params: Mapped[int] = mapped_column(BigInteger)
    val_top1_pct: Mapped[float | None]
    test_top1_pct: Mapped[float | None]
    test_top5_pct: Mapped[float | None]
    trained: Mapped[bool]
    updated_at: Mapped[datetime]


class RunState(OfSearch, Base):
    """A pointer to a run state on disk, from which the next attempt resumes."""

    __tablename__ = "run_states"

    fence: Mapped[int] = mapped_column(Integer, primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    path: Mapped[str] = mapped_column(Text)  # relative to Settings.searches_dir
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    saved_at: Mapped[datetime]


class Artifact(OfSearch, Base):
    """A file a user can download; `key` names it in the artifact store."""

    __tablename__ = "artifacts"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    search_id: Mapped[str] = mapped_column(ForeignKey(Search.id, ondelete="CASCADE"), index=True)
    arch_id: Mapped[str] = mapped_column(String(16), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(Text, unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class Supernet(OfSearch, Base):
    """The supernet that a search left, for later ones to go on from; `key` names it in the artifact store."""

    __tablename__ = "supernets"

    key: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class Checked(OfTenant):
    """Columns of rows that are the job of a checker while their state is `checking`."""

    if TYPE_CHECKING:
        state: Mapped[Any]  # an enum of each table, with a `checking`

    tenant_id: Mapped[str] = mapped_column(
        TENANT_ID,
        ForeignKey(Tenant.id),
        primary_key=True,
        sort_order=-1,
        default=DEFAULT_TENANT,
        server_default=DEFAULT_TENANT,
    )
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    # Raised by every claim. A new row of a deleted name continues at a different number.
    fence: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[datetime | None]
    crashes: Mapped[int] = mapped_column(Integer)
    turns: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # that ended before the check did
    waits_since: Mapped[datetime | None]  # for its turn; None: since `created_at`
    progress: Mapped[float | None]  # of the check, 0 to 1
    created_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]


def _rules_of_checked(table: str, states: type[StrEnum], refused: str) -> tuple[SchemaItem, ...]:
    return (
        CheckConstraint(_one_of("state", [state.value for state in states]), name="state"),
        CheckConstraint("state = 'checking' OR owner IS NULL", name="owner_only_while_checking"),
        CheckConstraint("(state = 'checking') = (checked_at IS NULL)", name="checked_when_told"),
        partial_index(f"ix_{table}_checking", "created_at", where="state = 'checking'"),
        partial_index(f"ix_{table}_refused", "checked_at", where=f"state = '{refused}'"),
    )


class Dataset(Checked, Base):
    """A registered dataset. Built-in ones have no row. A row in the state `checking` is the job of a checker."""

    __tablename__ = "datasets"

    state: Mapped[DatasetState] = mapped_column(words(DatasetState))
    spec: Mapped[dict[str, Any]]  # DatasetSpec; until it is ready, only its location
    report: Mapped[dict[str, Any] | None]  # DatasetReport
    sha256: Mapped[str | None] = mapped_column(String(64))  # of an uploaded archive
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (*_rules_of_checked("datasets", DatasetState, "invalid"), Index(None, "tenant_id", "sha256"))


class WeightSetRow(Checked, Base):
    """An uploaded weight set. Built-in ones have no row. A row in the state `checking` is the job of a checker."""

    __tablename__ = "weight_sets"

    state: Mapped[WeightSetState] = mapped_column(words(WeightSetState))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any]]  # WeightSetDetails
    weights: Mapped[dict[str, Any] | None]  # WeightSet
    problems: Mapped[list[Any] | None] = mapped_column(Json)  # WeightProblem

    __table_args__ = (
        *_rules_of_checked("weight_sets", WeightSetState, "refused"),
        CheckConstraint("(state = 'ready') = (weights IS NOT NULL)", name="weights_when_ready"),
        CheckConstraint("(state = 'refused') = (problems IS NOT NULL)", name="problems_when_refused"),
    )
