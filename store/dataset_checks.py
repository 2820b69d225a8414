"""Dataset checks: a checker claims a row in the state `checking`, beats, and closes it with a report.

As with searches, claims and writes are compare-and-swap on (name, fence), and times are those of the database's clock.
When the lease of a check expires, another checker takes over. A check that crashes or expires too often is closed as
invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from autonl_core.datasets.check_report import DatasetReport, failed_report
from autonl_core.datasets.spec import DatasetSpec
from store.datasets import DatasetEntry, entry_of
from store.db import Database, now
from store.errors import LeaseLost
from store.json_values import plain_json
from store.models import Dataset
from store.polled_query import PolledQuery
from store.settings import Settings
from store.states import DatasetState

_CLAIM_TRIES = 5


@dataclass(frozen=True)
class CheckLease:
    """The right to write about the check of a dataset for as long as its fence is the newest."""

    name: str
    fence: int


class CheckStore:
    """Claims of dataset checks, and how checks end."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._pending = PolledQuery(database, select(Dataset.name).where(Dataset.state == DatasetState.CHECKING))

    def claim(self, owner: str) -> CheckLease | None:
        """Claim the dataset that was added first, or return None if none is waiting.

        A lease that expired counts as a crash: its holder was killed, perhaps by the content of the dataset.
        """
        if not self._pending.finds_any():  # without the lock on the database that a claim takes
            return None
        for _ in range(_CLAIM_TRIES):
            with self._database.session_scope() as session:
                moment = now(session)
                free = or_(Dataset.lease_until.is_(None), Dataset.lease_until < moment)
                due = (
                    select(Dataset)
                    .where(Dataset.state == DatasetState.CHECKING, free)
                    .order_by(Dataset.created_at, Dataset.name)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
                row = session.scalars(due).first()
                if row is None:
                    return None
                if (lease := self._take(session, row, free, owner, moment)) is not None:
                    return lease
        return None

    def entry(self, lease: CheckLease) -> DatasetEntry:
        """The dataset to check. Raises LeaseLost."""
        with self._database.read_scope() as session:
            row = session.scalars(select(Dataset).where(*_held(lease))).one_or_none()
        if row is None:
            raise _lost(lease)
        return entry_of(row)

    def beat(self, lease: CheckLease, progress: float | None = None) -> None:
        """Extend the lease, and store the progress of the check, 0 to 1. Raises LeaseLost."""
        with self._database.session_scope() as session:
            values: dict[str, Any] = {"lease_until": now(session) + self._lease_time()}
            if progress is not None:
                values["progress"] = progress
            _write(session, lease, values)

    def finish(self, lease: CheckLease, spec: DatasetSpec | None, report: DatasetReport) -> None:
        """Close the check: the dataset is ready if there is a `spec`, otherwise invalid. Raises LeaseLost."""
        state = DatasetState.INVALID if spec is None else DatasetState.READY
        with self._database.session_scope() as session:
            values = _closing_values(state, now(session), report)
            if spec is not None:
                values["spec"] = plain_json(spec.to_json())
            _write(session, lease, values)

    def crashed(self, lease: CheckLease, reason: str) -> DatasetState:
        """Record that the check process ended without a result. The check is retried, up to a limit.

        Raises:
            LeaseLost: the check was closed, or taken over.
        """
        with self._database.session_scope() as session:
            moment = now(session)
            query = select(Dataset.crashes).where(*_held(lease))
            crashes = session.scalars(query).one_or_none()
            if crashes is None:
                raise _lost(lease)
            crashes += 1
            state = DatasetState.CHECKING
            values: dict[str, Any] = {"crashes": crashes}
            if crashes >= self._settings.max_crash_streak:
                state = DatasetState.INVALID
                values |= _closing_values(state, moment, _crash_report(crashes, reason))
            else:
                wait = timedelta(seconds=self._settings.crash_backoff_s * 2 ** (crashes - 1))
                values |= {"owner": None, "lease_until": moment + wait}
            _write(session, lease, values)
        return state

    def give_back(self, lease: CheckLease) -> None:
        """Release the check, so that another checker can start it again. Raises LeaseLost."""
        with self._database.session_scope() as session:
            _write(session, lease, {"owner": None, "lease_until": None, "progress": None})

    def _take(
        self, session: Session, row: Dataset, free: ColumnElement[bool], owner: str, moment: datetime
    ) -> CheckLease | None:
        """Lease `row` to `owner`, or close it after too many crashes; None if closed, or taken in the meantime."""
        lease = CheckLease(row.name, row.fence + 1)
        lease_expired = row.owner is not None
        crashes = row.crashes + lease_expired
        values: dict[str, Any] = {"fence": lease.fence, "crashes": crashes}
        if lease_expired and crashes >= self._settings.max_crash_streak:
            values |= _closing_values(DatasetState.INVALID, moment, _crash_report(crashes, "its process was killed"))
        else:
            values |= {"owner": owner, "progress": 0.0, "lease_until": moment + self._lease_time()}
        statement = update(Dataset).where(
            Dataset.name == row.name, Dataset.fence == row.fence, Dataset.state == DatasetState.CHECKING, free
        )
        returning = statement.values(**values).returning(Dataset.owner)
        owners = session.execute(returning.execution_options(synchronize_session=False)).scalars().all()
        return lease if owners == [owner] else None

    def _lease_time(self) -> timedelta:
        return timedelta(seconds=self._settings.lease_s)


def _write(session: Session, lease: CheckLease, values: Mapping[str, Any]) -> None:
    statement = update(Dataset).where(*_held(lease)).values(**values).returning(Dataset.name)
    if session.execute(statement.execution_options(synchronize_session=False)).first() is None:
        raise _lost(lease)


def _held(lease: CheckLease) -> tuple[ColumnElement[bool], ...]:
    return (
        Dataset.name == lease.name,
        Dataset.fence == lease.fence,
        Dataset.state == DatasetState.CHECKING,
        Dataset.owner.is_not(None),
    )


def _closing_values(state: DatasetState, moment: datetime, report: DatasetReport) -> dict[str, Any]:
    released = {"owner": None, "lease_until": None, "progress": None}
    return released | {"state": state, "report": plain_json(report.to_json()), "checked_at": moment}


def _crash_report(crashes: int, reason: str) -> DatasetReport:
    detail = (
        f"the check failed {crashes} times, the last time because {reason}. Look for damaged or manipulated images; "
        "if the dataset is merely large, give checks more memory: AUTONL_CHECK_MEMORY_BYTES"
    )
    return failed_report("check_failed", detail)


def _lost(lease: CheckLease) -> LeaseLost:
    return LeaseLost(f"the check of dataset {lease.name!r} with fence {lease.fence} was closed, deleted or taken over")
