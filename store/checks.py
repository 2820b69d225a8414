"""Checks of what was uploaded: a checker claims a row in the state `checking`, beats, and closes it with what it found.

As with searches, claims and writes are compare-and-swap, on (tenant, name, fence), and times are those of the
database's clock.
When the lease of a check expires, another checker takes over. A check that crashes or expires too often is closed.
What is checked, and what a check leaves in its row, is said by subclasses.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, ScalarSelect, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from store.db import Database, now
from store.errors import LeaseLost
from store.models import Checked
from store.polled_query import PolledQuery
from store.settings import Settings
from store.tenant_rows import DEFAULT_TENANT

CHECKING = "checking"  # the state, in every table of checked rows
_CLAIM_TRIES = 5

RowT = TypeVar("RowT", bound=Checked)


@dataclass(frozen=True)
class CheckLease:
    """The right to write about the check of a row for as long as its fence is the newest."""

    name: str
    fence: int
    tenant_id: str = DEFAULT_TENANT
    turn: int = 0  # how many turns of this check ended before this one


@dataclass(frozen=True)
class Waiting:
    """How many rows wait for a checker, and the age of the oldest in seconds; 0 if there is none."""

    count: int
    oldest_s: float


class CheckStore(ABC, Generic[RowT]):
    """Claims of the checks of one table, and how checks end."""

    noun: ClassVar[str]  # what a row is called in messages

    def __init__(self, database: Database, settings: Settings, table: type[RowT]) -> None:
        self._database = database
        self._settings = settings
        self._table = table
        self._pending = PolledQuery(database, select(table.name).where(table.state == CHECKING))

    @abstractmethod
    def _given_up(self, detail: str) -> dict[str, Any]:
        """State and findings of a row whose check failed too often, for the reason `detail`."""

    def waiting(self) -> Waiting:
        """The rows that wait for a checker, those of expired leases included."""
        table = self._table
        with self._database.read_scope() as session:
            moment = now(session)
            free = or_(table.lease_until.is_(None), table.lease_until < moment)
            query = select(func.count(), func.min(table.created_at)).where(table.state == CHECKING, free)
            count, oldest = session.execute(query).one()
        return Waiting(count, (moment - oldest).total_seconds() if count else 0.0)

    def claim(self, owner: str) -> CheckLease | None:
        """Claim the row that has waited longest for its turn, or return None if none is waiting.

        Those of tenants with fewer checks under way come first.

        A lease that expired counts as a crash: its holder was killed, perhaps by the content of what it checked.
        """
        if not self._pending.finds_any():  # without the lock on the database that a claim takes
            return None
        table = self._table
        for _ in range(_CLAIM_TRIES):
            with self._database.session_scope() as session:
                moment = now(session)
                free = self._free(moment)
                due = (
                    select(table)
                    .where(table.state == CHECKING, free)
                    .order_by(self._running(moment), func.coalesce(table.waits_since, table.created_at), table.name)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
                row = session.scalars(due).first()
                if row is None:
                    return None
                if (lease := self._take(session, row, free, owner, moment)) is not None:
                    return lease
        return None

    def any_waits(self) -> bool:
        """Whether a check waits for a checker."""
        with self._database.read_scope() as session:
            waiting = select(self._table.name).where(self._table.state == CHECKING, self._free(now(session)))
            return session.execute(waiting.limit(1)).first() is not None

    def progress(self, lease: CheckLease) -> float | None:
        """How far the check is, 0 to 1. Raises LeaseLost."""
        return self._row(lease).progress

    def beat(self, lease: CheckLease, progress: float | None = None) -> None:
        """Extend the lease, and store the progress of the check, 0 to 1. Raises LeaseLost."""
        with self._database.session_scope() as session:
            values: dict[str, Any] = {"lease_until": now(session) + self._lease_time()}
            if progress is not None:
                values["progress"] = progress
            self._write(session, lease, values)

    def crashed(self, lease: CheckLease, reason: str) -> StrEnum:
        """Record that the check process ended without a result. The check is retried, up to a limit.

        Returns:
            The state of the row from now on.
        Raises:
            LeaseLost: the check was closed, or taken over.
        """
        with self._database.session_scope() as session:
            moment = now(session)
            query = select(self._table.crashes).where(*self._held(lease))
            crashes = session.scalars(query).one_or_none()
            if crashes is None:
                raise self._lost(lease)
            crashes += 1
            values: dict[str, Any] = {"crashes": crashes}
            if crashes >= self._settings.max_crash_streak:
                values |= self._closing_values(moment, self._given_up(_crash_detail(self.noun, crashes, reason)))
            else:
                wait = timedelta(seconds=self._settings.crash_backoff_s * 2 ** (crashes - 1))
                values |= {"owner": None, "lease_until": moment + wait}
            state: StrEnum = self._write(session, lease, values)
        return state

    def give_back(self, lease: CheckLease) -> None:
        """Release the check, so that another checker can start it again. Raises LeaseLost."""
        with self._database.session_scope() as session:
            self._write(session, lease, {"owner": None, "lease_until": None, "progress": None})

    def end_turn(self, lease: CheckLease) -> None:
        """Release the check, to go on once those that wait have had a turn. Raises LeaseLost."""
        with self._database.session_scope() as session:
            released = {"owner": None, "lease_until": None, "progress": None}
            self._write(session, lease, {**released, "turns": lease.turn + 1, "waits_since": now(session)})

    def _row(self, lease: CheckLease) -> RowT:
        """The row to check. Raises LeaseLost."""
        with self._database.read_scope() as session:
            row = session.scalars(select(self._table).where(*self._held(lease))).one_or_none()
        if row is None:
            raise self._lost(lease)
        return row

    def _close(self, lease: CheckLease, values: Mapping[str, Any]) -> None:
        """Close the check with its state and findings. Raises LeaseLost."""
        with self._database.session_scope() as session:
            self._write(session, lease, self._closing_values(now(session), values))

    def _take(
        self, session: Session, row: RowT, free: ColumnElement[bool], owner: str, moment: datetime
    ) -> CheckLease | None:
        """Lease `row` to `owner`, or close it after too many crashes; None if closed, or taken in the meantime."""
        table, lease = self._table, CheckLease(row.name, row.fence + 1, row.tenant_id, row.turns)
        lease_expired = row.owner is not None
        crashes = row.crashes + lease_expired
        values: dict[str, Any] = {"fence": lease.fence, "crashes": crashes}
        if lease_expired and crashes >= self._settings.max_crash_streak:
            detail = _crash_detail(self.noun, crashes, "its process was killed")
            values |= self._closing_values(moment, self._given_up(detail))
        else:
            values |= {"owner": owner, "progress": 0.0, "lease_until": moment + self._lease_time()}
        unchanged = table.tenant_id == row.tenant_id, table.name == row.name, table.fence == row.fence
        statement = update(table).where(*unchanged, table.state == CHECKING, free)
        returning = statement.values(**values).returning(table.owner)
        owners = session.execute(returning.execution_options(synchronize_session=False)).scalars().all()
        return lease if owners == [owner] else None

    def _running(self, moment: datetime) -> ScalarSelect[int]:
        """How many checks of the tenant of a row are under way."""
        other = aliased(self._table)
        same_tenant = other.tenant_id == self._table.tenant_id
        running = other.state == CHECKING, other.owner.is_not(None), other.lease_until >= moment
        return select(func.count()).select_from(other).where(same_tenant, *running).scalar_subquery()

    def _free(self, moment: datetime) -> ColumnElement[bool]:
        """Whether a row is not leased, and does not wait after a crash."""
        return or_(self._table.lease_until.is_(None), self._table.lease_until < moment)

    def _lease_time(self) -> timedelta:
        return timedelta(seconds=self._settings.lease_s)

    def _write(self, session: Session, lease: CheckLease, values: Mapping[str, Any]) -> Any:
        """Write under the lease; returns the state of the row from now on. Raises LeaseLost."""
        statement = update(self._table).where(*self._held(lease)).values(**values).returning(self._table.state)
        written = session.execute(statement.execution_options(synchronize_session=False)).scalar_one_or_none()
        if written is None:
            raise self._lost(lease)
        return written

    def _held(self, lease: CheckLease) -> tuple[ColumnElement[bool], ...]:
        table = self._table
        leased = table.tenant_id == lease.tenant_id, table.name == lease.name, table.fence == lease.fence
        return *leased, table.state == CHECKING, table.owner.is_not(None)

    def _closing_values(self, moment: datetime, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"owner": None, "lease_until": None, "progress": None, "checked_at": moment, **values}

    def _lost(self, lease: CheckLease) -> LeaseLost:
        return LeaseLost(
            f"the check of {self.noun} {lease.name!r} with fence {lease.fence} was closed, deleted or taken over"
        )


def start_check(session: Session, row: Checked) -> None:
    """Make `row`, which may have been checked before, the job of a checker from now on; its state is set by the caller.

    A check of a previous row of this name that is still running must not write to this one, even if the name was
    deleted in between: hence a new fence, and a random one for a new row.
    """
    row.fence = (row.fence or secrets.randbelow(1 << 30)) + 1
    row.owner = row.lease_until = row.progress = row.checked_at = None
    row.crashes = row.turns = 0
    row.created_at = row.waits_since = now(session)


def _crash_detail(noun: str, crashes: int, reason: str) -> str:
    return (
        f"the check failed {crashes} times, the last time because {reason}. The {noun} may be damaged or manipulated; "
        "if it is merely large, give checks more memory: AUTONL_CHECK_MEMORY_BYTES"
    )
