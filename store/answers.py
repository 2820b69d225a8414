"""First answers: what a request with an idempotency key was answered, so that repeating it gives the same again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Integer, String, Text, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from store.columns import Base, Json
from store.db import Database, now
from store.errors import IdempotencyConflict
from store.tenant_rows import DEFAULT_TENANT, TENANT_ID, OfTenant, Tenant

KEPT_S = 24 * 3600.0


class FirstAnswer(OfTenant, Base):
    """The first answer to requests with one key on one route. It outlives what the request created."""

    __tablename__ = "first_answers"

    tenant_id: Mapped[str] = mapped_column(
        TENANT_ID,
        ForeignKey(Tenant.id),
        primary_key=True,
        sort_order=-1,
        default=DEFAULT_TENANT,
        server_default=DEFAULT_TENANT,
    )
    route: Mapped[str] = mapped_column(String(255), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the request as it was sent
    status: Mapped[int] = mapped_column(Integer)
    headers: Mapped[dict[str, str]] = mapped_column(Json)
    body: Mapped[str] = mapped_column(Text)
    answered_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True)
class Answer:
    """A response that can be given again."""

    status: int
    headers: Mapping[str, str]
    body: str


class AnswerStore:
    """First answers by route and key. Safe for any number of processes; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, route: str, key: str, fingerprint: str) -> Answer | None:
        """The first answer; None if there was none in the last `KEPT_S`. Raises IdempotencyConflict."""
        query = select(FirstAnswer).where(FirstAnswer.route == route, FirstAnswer.key == key)
        with self._database.read_scope() as session:
            found = session.scalars(query.where(FirstAnswer.answered_at >= expiry(now(session)))).one_or_none()
        return None if found is None else _same(found, fingerprint)

    def keep(self, route: str, key: str, fingerprint: str, answer: Answer) -> Answer:
        """Keep the first answer. Returns it: another one than `answer` if the same request was answered meanwhile.

        Raises:
            IdempotencyConflict: meanwhile the key was used for another request.
        """
        row = FirstAnswer(
            route=route,
            key=key,
            fingerprint=fingerprint,
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body,
        )
        try:
            with self._database.session_scope() as session:
                row.answered_at = now(session)
                expired = FirstAnswer.answered_at < expiry(row.answered_at)
                session.execute(delete(FirstAnswer).where(FirstAnswer.route == route, FirstAnswer.key == key, expired))
                session.add(row)
            return answer
        except IntegrityError:
            known = self.find(route, key, fingerprint)
            if known is None:
                raise
            return known

    def delete_old(self) -> int:
        """Delete those that have expired; returns how many."""
        with self._database.session_scope() as session:
            old = delete(FirstAnswer).where(FirstAnswer.answered_at < expiry(now(session)))
            return len(session.scalars(old.returning(FirstAnswer.key)).all())


def expiry(moment: datetime) -> datetime:
    """What was done with a key before this time has expired at `moment`: the key is free again."""
    return moment - timedelta(seconds=KEPT_S)


def _same(found: FirstAnswer, fingerprint: str) -> Answer:
    if found.fingerprint != fingerprint:
        raise IdempotencyConflict(
            f"idempotency key {found.key!r} was already used for another {found.route}; send that request again, or "
            "use a new key"
        )
    return Answer(found.status, found.headers, found.body)
