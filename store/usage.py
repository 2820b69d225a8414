"""What tenants use, by day: compute seconds, searches, bytes. Every second of an attempt is counted once.

An attempt carries the CPU time that its supervisor saw last. Only what a later look adds to it is counted, in the same
transaction, so that a repeated or late report changes nothing, however the attempt ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.db import Database, now
from store.leases import Lease
from store.models import Attempt, Search
from store.tenant_rows import Usage
from store.tenant_sessions import tenant_of


class UsageStore:
    """Usage of the tenant that the database is bound to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def days(self, first: date, last: date) -> Sequence[Usage]:
        """The days from `first` to `last` in UTC on which anything was used, in order."""
        own = Usage.tenant_id, Usage.day
        with self._database.read_scope() as session:
            query = select(Usage).where(own[0] == tenant_of(session), own[1].between(first, last)).order_by(own[1])
            return session.scalars(query).all()

    def today(self) -> date:
        """By the clock of the database, in UTC."""
        with self._database.read_scope() as session:
            return _day(now(session))

    def spent(self, lease: Lease, compute_s: float) -> None:
        """Record that an attempt has used `compute_s` so far; for its end, also if its lease is lost."""
        with self._database.session_scope() as session:
            record_compute(session, lease, compute_s, now(session))

    def compute_left_s(self, lease: Lease) -> float | None:
        """What an attempt may use of the compute seconds of its search; None: there is no limit."""
        earlier = Attempt.search_id == lease.search_id, Attempt.fence != lease.fence
        with self._database.read_scope() as session:
            config = session.scalar(select(Search.config).where(Search.id == lease.search_id)) or {}
            limit_s: float | None = config.get("max_compute_s")
            return None if limit_s is None else limit_s - _sum(session, *earlier)


def compute_of(session: Session, search_id: str) -> float:
    """CPU seconds of all attempts of a search."""
    return _sum(session, Attempt.search_id == search_id)


def record_compute(session: Session, lease: Lease, compute_s: float, moment: datetime) -> None:
    """Count what an attempt has used since it was last recorded; nothing if the search was deleted."""
    own = Attempt.search_id == lease.search_id, Attempt.fence == lease.fence
    if compute_s <= (session.scalar(select(Attempt.compute_s).where(*own)) or 0.0):
        return
    shown = update(Search).where(Search.id == lease.search_id).values(version=Search.version + 1)  # GET shows it
    options = {"synchronize_session": False}
    tenant_id = session.scalar(shown.returning(Search.tenant_id).execution_options(**options))
    known_s = session.scalar(select(Attempt.compute_s).where(*own).with_for_update())
    if tenant_id is None or known_s is None or compute_s <= known_s:
        return
    session.execute(update(Attempt).where(*own).values(compute_s=compute_s).execution_options(**options))
    add_usage(session, tenant_id, moment, compute_s=compute_s - known_s)


def add_usage(
    session: Session,
    tenant_id: str,
    moment: datetime,
    *,
    compute_s: float = 0.0,
    searches: int = 0,
    added_bytes: int = 0,
) -> None:
    """Count something as used on the day of `moment`."""
    key = {"tenant_id": tenant_id, "day": _day(moment)}
    amounts = {"compute_s": compute_s, "searches": searches, "added_bytes": added_bytes}
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(Usage).values(**key, **amounts)
    sums = {name: getattr(Usage, name) + amount for name, amount in amounts.items()}
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=sums))


def _sum(session: Session, *conditions: object) -> float:
    return session.scalar(select(func.coalesce(func.sum(Attempt.compute_s), 0.0)).where(*conditions)) or 0.0  # type: ignore[arg-type]


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
