"""Whose search is claimed next: the highest priority first, and of the same one the tenants take turns.

A worker claims the resource classes that it serves, and sees no others: one of a class that it does not serve neither
waits before it nor is taken.

Of the tenants with a search of the highest priority, the one is next that runs the fewest, and of these the one whose
last claim is the longest ago. Claims ask for the next only; the places in the queue are counted from the same order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from autonl_core.spec.config import ResourceClass
from store.leases import ORIGIN
from store.models import Search
from store.quotas import compute_is_spent, limits_of
from store.settings import Settings
from store.states import CLAIMED, SearchState
from store.tenant_rows import Tenant

ALL_CLASSES: tuple[ResourceClass, ...] = ("any", "cpu", "gpu")
SERVED_WITHOUT_GPU: tuple[ResourceClass, ...] = ("any", "cpu")
SERVED_BY_GPU: tuple[ResourceClass, ...] = ("any", "gpu")


@dataclass(frozen=True)
class Contender:
    """A tenant with searches that are due.

    Args:
        running: searches of it that hold a worker.
        turn: number of its last claim, among all claims.
        room: searches that may run besides; None: any number.
        priority: highest of its due searches.
        classes: resource classes of those that have it.
    """

    tenant_id: str
    running: int
    turn: int
    room: int | None
    priority: int
    classes: tuple[ResourceClass, ...]

    @property
    def order(self) -> tuple[int, int, int, str]:
        """The least is next."""
        return -self.priority, self.running, self.turn, self.tenant_id


def is_due(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """The conditions of searches that may be claimed."""
    return Search.state == SearchState.QUEUED, Search.next_run_at <= moment


def contenders(
    session: Session, settings: Settings, moment: datetime, served: Sequence[ResourceClass] = ALL_CLASSES
) -> list[Contender]:
    """The tenants with due searches of the classes `served`, the next one first.

    It takes a read of an index for every tenant and class, and one for every tenant.
    """
    found = []
    for row in session.execute(contenders_query(moment, served)).mappings():
        highest = {name: row[name] for name in served if row[name] is not None}
        if highest:
            priority = max(highest.values())
            classes = tuple(name for name in served if highest.get(name) == priority)
            limits = limits_of(row["limits"], settings)
            room = max(0, limits.running - row["running"]) if limits.running else None
            if compute_is_spent(session, row["id"], limits, moment):
                room = 0
            found.append(Contender(row["id"], row["running"], row["turn"], room, priority, classes))
    return sorted(found, key=lambda one: one.order)


def contenders_query(moment: datetime, served: Sequence[ResourceClass]) -> Select[Any]:
    """Every tenant with the highest priority of its due searches by class, and how many run. It reads no whole queue.

    The columns of priorities are named as their classes.
    """
    own = Search.tenant_id == Tenant.id
    running = select(func.count()).select_from(Search).where(own, Search.state.in_(CLAIMED))
    of_class = [
        select(Search.priority)
        .where(own, Search.resource_class == name, *is_due(moment))
        .order_by(Search.priority.desc())
        .limit(1)
        .correlate(Tenant)
        .scalar_subquery()
        .label(name)
        for name in served
    ]
    counted = running.correlate(Tenant).scalar_subquery().label("running")
    return select(Tenant.id, Tenant.turn, Tenant.limits, counted, *of_class)


def next_of(
    contender: Contender, name: ResourceClass, moment: datetime
) -> Select[str, int, datetime, str | None, str, str | None]:
    """The search that the tenant has next in a class: of its highest priority, the one that was created first."""
    own = Search.tenant_id == contender.tenant_id, Search.priority == contender.priority
    return (
        select(Search.id, Search.fence, Search.created_at, *ORIGIN)
        .where(*own, Search.resource_class == name, *is_due(moment))
        .order_by(Search.created_at, Search.id)
        .limit(1)
    )


def any_due(moment: datetime, name: ResourceClass) -> Select[str]:
    """A due search of a class, of any tenant, whatever its limits are."""
    own = Search.tenant_id == Tenant.id, Search.resource_class == name
    due = select(Search.id).where(*own, *is_due(moment)).correlate(Tenant).exists()
    return select(Tenant.id).where(due).limit(1)


def claim_order(
    found: Iterable[Contender], due: Mapping[tuple[str, int], Sequence[str]]
) -> tuple[list[str], list[str]]:
    """The ids of due searches in the order of claims, if none is added and none ends; and those that limits keep back.

    Args:
        due: ids by tenant and priority, in the order of the tenant's own.
    """
    standing = {one.tenant_id: one for one in found}
    admitted = _claim_all(standing, due)
    taken = set(admitted)
    left = {key: [one for one in ids if one not in taken] for key, ids in due.items()}
    unlimited = {tenant_id: replace(one, room=None) for tenant_id, one in standing.items()}
    return admitted, _claim_all(unlimited, left)


def _claim_all(standing: dict[str, Contender], due: Mapping[tuple[str, int], Sequence[str]]) -> list[str]:
    """Claims until no tenant has a search or room; changes where the tenants stand."""
    claimed: list[str] = []
    last_turn = max((one.turn for one in standing.values()), default=0)
    for priority in sorted({priority for _, priority in due}, reverse=True):
        waiting = {tenant_id: iter(due.get((tenant_id, priority), ())) for tenant_id in standing}
        heap = [(one.running, one.turn, one.tenant_id) for one in standing.values()]
        heapq.heapify(heap)
        while heap:
            _, _, tenant_id = heapq.heappop(heap)
            one = standing[tenant_id]
            search_id = next(waiting[tenant_id], None) if one.room is None or one.room > 0 else None
            if search_id is None:
                continue
            claimed.append(search_id)
            last_turn += 1
            room = None if one.room is None else one.room - 1
            standing[tenant_id] = replace(one, running=one.running + 1, turn=last_turn, room=room)
            heapq.heappush(heap, (one.running + 1, last_turn, tenant_id))
    return claimed
