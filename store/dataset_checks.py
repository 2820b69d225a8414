"""Checks of data sets: a checker claims a row that is `checking`, beats, and closes it with a report.

Like searches: claims and writes are compare-and-swap on (name, fence), and times are those of the database. A check
whose lease ends is taken over by another checker; one that ends so, or crashes, too often is closed as invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from autonl_core.datasets.check_report import DatasetReport, failed_report
from autonl_core.datasets.spec import DatasetSpec
from store.datasets import DatasetEntry, entry_of
from store.db import Database, now
from store.errors import LeaseLost
from store.json_values import plain_json
from store.models import Dataset
from store.settings import Settings
from store.states import DatasetState

_CLAIM_TRIES = 5


@dataclass(frozen=True)
class CheckLease:
    """The right to write about the check of a data set, while its fence is the newest."""

    name: str
    fence: int


class CheckStore:
    """Claims of checks and their endings."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def claim(self, owner: str) -> CheckLease | None:
        """Take the data set that has waited longest, or None if none waits.

        A lease that ended without an ending counts as a crash: whoever held it was killed, perhaps by what it read.
        """
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
                lease = CheckLease(row.name, row.fence + 1)
                was_held = row.owner is not None
                crashes = row.crashes + was_held
                values: dict[str, Any] = {"fence": lease.fence, "crashes": crashes}
                if crashes >= self._settings.max_crash_streak and was_held:
                    values |= _ending(DatasetState.INVALID, moment, _crash_report(crashes, "its process was killed"))
                else:
                    values |= {"owner": owner, "progress": 0.0, "lease_until": moment + self._lease()}
                taken = update(Dataset).where(
                    Dataset.name == row.name, Dataset.fence == row.fence, Dataset.state == DatasetState.CHECKING, free
                )
                options = {"synchronize_session": False}
                changed = session.execute(taken.values(**values).returning(Dataset.owner).execution_options(**options))
                owners = changed.scalars().all()
            if owners == [owner]:
                return lease
        return None

    def entry(self, lease: CheckLease) -> DatasetEntry:
        """What is to be checked. Raises LeaseLost."""
        with self._database.read_scope() as session:
            row = session.scalars(select(Dataset).where(*_held(lease))).one_or_none()
        if row is None:
            raise _lost(lease)
        return entry_of(row)

    def beat(self, lease: CheckLease, progress: float | None = None) -> None:
        """Extend the lease, and tell how far the check is, 0 to 1. Raises LeaseLost."""
        with self._database.session_scope() as session:
            values: dict[str, Any] = {"lease_until": now(session) + self._lease()}
            if progress is not None:
                values["progress"] = progress
            _write(session, lease, values)

    def finish(self, lease: CheckLease, spec: DatasetSpec | None, report: DatasetReport) -> None:
        """Close the check: ready if there is a `spec`, else invalid. Raises LeaseLost."""
        state = DatasetState.INVALID if spec is None else DatasetState.READY
        with self._database.session_scope() as session:
            values = _ending(state, now(session), report)
            if spec is not None:
                values["spec"] = plain_json(spec.to_json())
            _write(session, lease, values)

    def crashed(self, lease: CheckLease, reason: str) -> DatasetState:
        """Note that the process of the check ended without a result; it is tried again, but not for ever.

        Raises:
            LeaseLost: it was closed, or taken over.
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
                values |= _ending(state, moment, _crash_report(crashes, reason))
            else:
                wait = timedelta(seconds=self._settings.crash_backoff_s * 2 ** (crashes - 1))
                values |= {"owner": None, "lease_until": moment + wait}
            _write(session, lease, values)
        return state

    def give_back(self, lease: CheckLease) -> None:
        """Let another checker begin anew. Raises LeaseLost."""
        with self._database.session_scope() as session:
            values = {"owner": None, "lease_until": None, "progress": None}
            _write(session, lease, values)

    def _lease(self) -> timedelta:
        return timedelta(seconds=self._settings.lease_s)


def _write(session: Session, lease: CheckLease, values: Mapping[str, Any]) -> None:
    statement = update(Dataset).where(*_held(lease)).values(**values).returning(Dataset.name)
    if session.execute(statement.execution_options(synchronize_session=False)).first() is None:
        raise _lost(lease)


def _held(lease: CheckLease) -> tuple[Any, ...]:
    return (
        Dataset.name == lease.name,
        Dataset.fence == lease.fence,
        Dataset.state == DatasetState.CHECKING,
        Dataset.owner.is_not(None),
    )


def _ending(state: DatasetState, moment: datetime, report: DatasetReport) -> dict[str, Any]:
    closed = {"owner": None, "lease_until": None, "progress": None}
    return closed | {"state": state, "report": plain_json(report.to_json()), "checked_at": moment}


def _crash_report(crashes: int, reason: str) -> DatasetReport:
    told = (
        f"the check broke off {crashes} times, the last time because {reason}. Look for files that are no honest "
        "images; if the data set is just large, give checks more memory: AUTONL_CHECK_MEMORY_BYTES"
    )
    return failed_report("check_failed", told)


def _lost(lease: CheckLease) -> LeaseLost:
    return LeaseLost(f"the check of data set {lease.name!r} by fence {lease.fence} was closed, deleted or taken over")
