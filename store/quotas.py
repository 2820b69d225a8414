"""What a tenant may use: its own limits or those of the settings, and the refusal of what would go beyond them.

A refusal comes before anything is written, in the transaction that would write. Of running searches no request is
refused: claims leave those of the tenant alone that are too many (`store/turns.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from autonl_core.spec.config import MAX_PRIORITY
from store.db import Database, now
from store.device_rows import DeviceRow
from store.errors import NotFound, QuotaExceeded
from store.models import Artifact, Dataset, Search, Supernet, WeightSetRow
from store.settings import Settings
from store.states import SearchState
from store.tenant_rows import Tenant, Usage
from store.tenant_sessions import tenant_of
from store.usage import add_usage

QUEUE_RETRY_S = 60  # when it is worth asking again whether there is room in the queue


class TenantLimits(BaseModel):
    """The limits of one tenant; 0: none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    queued: int = Field(ge=0, description="queued searches")
    running: int = Field(ge=0, description="searches that run at once")
    stored_bytes: int = Field(ge=0, description="bytes of datasets, weights, device tables and artifacts")
    compute_s_per_day: int = Field(ge=0, description="CPU seconds of searches in a day in UTC")
    compute_s_per_month: int = Field(ge=0, description="the same in a calendar month")
    event_streams: int = Field(ge=0, description="event streams that one API process keeps open")
    priority: int = Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="highest priority of a search")


def limits_of(own: Mapping[str, Any] | None, settings: Settings) -> TenantLimits:
    """The limits of a tenant that has `own` ones."""
    defaults = {name: getattr(settings, f"quota_{name}") for name in TenantLimits.model_fields}
    return TenantLimits.model_validate(defaults | dict(own or {}))


class QuotaStore:
    """The limits of the tenant that the database is bound to, and what it uses now."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def limits(self) -> TenantLimits:
        with self._database.read_scope() as session:
            return _limits(session, self._settings)

    def own_limits(self, tenant_id: str) -> dict[str, Any]:
        """The limits of a tenant that are not those of the settings. Raises NotFound."""
        with self._database.read_scope() as session:
            return dict(_tenant(session, tenant_id).limits or {})

    def set_limits(self, tenant_id: str, changes: Mapping[str, int | None]) -> TenantLimits:
        """Change limits of a tenant; None: it has the one of the settings again.

        Raises:
            NotFound: no such tenant.
            ValueError: a limit is outside its range.
        """
        with self._database.session_scope() as session:
            tenant = _tenant(session, tenant_id)
            changed = dict(tenant.limits or {}) | dict(changes)
            own = {name: value for name, value in changed.items() if value is not None}
            limits = limits_of(own, self._settings)
            tenant.limits = own or None
        return limits

    def now(self) -> dict[str, int]:
        """Searches that are queued and that run, and bytes that are stored."""
        with self._database.read_scope() as session:
            counts = select(Search.state, func.count().label("number")).where(Search.tenant_id == tenant_of(session))
            by_state = {row.state: row.number for row in session.execute(counts.group_by(Search.state))}
            running = sum(by_state.get(state, 0) for state in _RUNNING)
            queued = by_state.get(SearchState.QUEUED, 0)
            return {"queued": queued, "running": running, "stored_bytes": stored_bytes(session)}

    def require_room_for(self, size_bytes: int) -> None:
        """Raises QuotaExceeded if the tenant may not store so many bytes more."""
        with self._database.read_scope() as session:
            require_bytes(session, self._settings, size_bytes)


_RUNNING = (SearchState.RUNNING, SearchState.PAUSING, SearchState.CANCELLING)


def require_searches(session: Session, settings: Settings, count: int, priority: int | None = None) -> None:
    """Raises QuotaExceeded if the tenant may not queue `count` searches more.

    Args:
        priority: theirs; None: it was allowed before.
    """
    limits = _limits(session, settings, lock=True)
    if priority is not None and priority > limits.priority:
        way_out = "send a lower one, or have the operator raise the limit"
        raise QuotaExceeded("priority", priority, limits.priority, f"priority {priority} is too high; {way_out}")
    if limits.queued and (queued := _queued(session)) + count > limits.queued:
        detail = f"{queued} searches are queued, and {count} more would be too many; wait, or cancel some"
        raise QuotaExceeded("queued", queued + count, limits.queued, detail, QUEUE_RETRY_S)
    moment = now(session)
    for quota, first, end in _periods(moment):
        limit_s = getattr(limits, quota)
        if limit_s and (used_s := compute_since(session, first)) >= limit_s:
            detail = f"{used_s:,.0f} CPU seconds are used; wait until {end:%Y-%m-%d} in UTC, or have it raised"
            raise QuotaExceeded(quota, int(used_s), limit_s, detail, _seconds_until(end, moment))
    require_bytes(session, settings, 0, limits)


def require_bytes(session: Session, settings: Settings, added: int, limits: TenantLimits | None = None) -> None:
    """Raises QuotaExceeded if the tenant may not store `added` bytes more; with 0, if it has no room at all."""
    limits = limits or _limits(session, settings, lock=bool(added))
    if not limits.stored_bytes:
        return
    stored = stored_bytes(session)
    if stored + max(added, 1) > limits.stored_bytes:
        more = f", and {added:,} more would be too many" if added else ""
        detail = f"{stored:,} bytes are stored{more}; delete searches, datasets or weights that are no longer needed"
        raise QuotaExceeded("stored_bytes", stored + added, limits.stored_bytes, detail)


def admit_bytes(session: Session, settings: Settings, size_bytes: int | None, before: int | None) -> None:
    """Count an upload that replaces one of `before` bytes. Raises QuotaExceeded if the tenant has no room for it."""
    added = (size_bytes or 0) - (before or 0)
    if added > 0:
        require_bytes(session, settings, added)
        add_usage(session, tenant_of(session), now(session), added_bytes=added)


def compute_is_spent(session: Session, tenant_id: str, limits: TenantLimits, moment: datetime) -> bool:
    """Whether the tenant has used the CPU seconds that it has for this day or this month."""
    return any(
        limit_s and compute_since(session, first, tenant_id) >= limit_s
        for quota, first, _ in _periods(moment)
        if (limit_s := getattr(limits, quota))
    )


def compute_since(session: Session, first: date, tenant_id: str | None = None) -> float:
    """CPU seconds of the searches of a tenant since the beginning of a day in UTC."""
    own = Usage.tenant_id == (tenant_id or tenant_of(session)), Usage.day >= first
    return session.scalar(select(func.coalesce(func.sum(Usage.compute_s), 0.0)).where(*own)) or 0.0


def stored_bytes(session: Session) -> int:
    """Bytes of the datasets, weights, device tables, artifacts and supernets of the tenant of the session."""
    own = Search.tenant_id == tenant_of(session)
    uploads = [
        select(func.sum(table.size_bytes)).where(table.tenant_id == tenant_of(session))
        for table in (Dataset, WeightSetRow, DeviceRow)
    ]
    results = [
        select(func.sum(table.size_bytes)).join(Search, Search.id == table.search_id).where(own)
        for table in (Artifact, Supernet)
    ]
    return sum(int(session.scalar(query) or 0) for query in (*uploads, *results))


def _limits(session: Session, settings: Settings, *, lock: bool = False) -> TenantLimits:
    """Args:
    lock: make others wait that would use up the same limits, until the transaction ends.
    """
    query = select(Tenant.limits).where(Tenant.id == tenant_of(session))
    return limits_of(session.scalar(query.with_for_update(key_share=True) if lock else query), settings)


def _tenant(session: Session, tenant_id: str) -> Tenant:
    tenant = session.get(Tenant, tenant_id)
    if tenant is None:
        raise NotFound(f"no tenant {tenant_id!r}")
    return tenant


def _queued(session: Session) -> int:
    own = Search.tenant_id == tenant_of(session), Search.state == SearchState.QUEUED
    return session.scalar(select(func.count()).where(*own)) or 0


def _periods(moment: datetime) -> list[tuple[str, date, datetime]]:
    """Each quota of compute, the first day of its period, and when that ends."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    next_month = (first + timedelta(days=32)).replace(day=1)
    return [
        ("compute_s_per_day", midnight.date(), midnight + timedelta(days=1)),
        ("compute_s_per_month", first.date(), next_month),
    ]


def _seconds_until(end: datetime, moment: datetime) -> int:
    return max(1, int((end - moment).total_seconds()) + 1)
