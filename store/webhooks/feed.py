"""From the event log to messages: each event of a search is looked at once, whatever happens to those who look.

`Search.announced_seq` is how far the log of that search has been read. Events are numbered without gaps, and a search
whose number is behind is found by an index that has no others; so none is missed, in whatever order transactions end.
The messages and the number are written in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.db import Database, now
from store.models import Event, Search
from store.polled_query import PolledQuery
from store.webhooks.messages import event_message, new_message_id
from store.webhooks.rows import Webhook, WebhookDelivery

_BATCH = 100  # searches read in one transaction
IS_BEHIND = Search.event_seq > Search.announced_seq


@dataclass(frozen=True)
class _Behind:
    """A search with events that no one has looked at yet, up to the one numbered `event_seq`."""

    search_id: str
    event_seq: int


class WebhookFeed:
    """Any number of processes may read; a search is read by one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._behind = PolledQuery(database, select(Search.id).where(IS_BEHIND))

    def read(self) -> int:
        """Write the messages of some searches that have new events; returns how many searches those were."""
        if not self._behind.finds_any():
            return 0
        with self._database.session_scope() as session:
            query = select(Search.id, Search.event_seq).where(IS_BEHIND).order_by(Search.id).limit(_BATCH)
            rows = session.execute(query.with_for_update(skip_locked=True)).all()
            announce(session, [_Behind(row.id, row.event_seq) for row in rows])
        return len(rows)


def announce_all(session: Session, search_id: str) -> None:
    """Write the messages of one search, which this transaction is about to delete with its events."""
    query = select(Search.id, Search.event_seq).where(Search.id == search_id, IS_BEHIND).with_for_update()
    announce(session, [_Behind(row.id, row.event_seq) for row in session.execute(query)])


def announce(session: Session, behind: Sequence[_Behind]) -> None:
    """Write a message about each new event of these searches, whose rows are locked, to each webhook that wants it."""
    if not behind:
        return
    # After the searches: who was added later wants no event that the numbers above include. None is deleted meanwhile.
    webhooks = session.scalars(select(Webhook).with_for_update(read=True, key_share=True)).all()
    if webhooks:
        wanted = {kind for webhook in webhooks for kind in webhook.kinds}
        query = (
            select(Event, Search)
            .join(Search, Search.id == Event.search_id)
            .where(Search.id.in_([each.search_id for each in behind]), Event.seq > Search.announced_seq)
            .where(Event.kind.in_(wanted), Event.at >= min(webhook.created_at for webhook in webhooks))
            .order_by(Event.search_id, Event.seq)
        )
        moment = now(session)
        for event, search in session.execute(query):
            wanting = [webhook for webhook in webhooks if _wants(webhook, event, search)]
            session.add_all(_delivery(webhook, event, search, moment) for webhook in wanting)
    for each in behind:
        statement = update(Search).where(Search.id == each.search_id).values(announced_seq=each.event_seq)
        session.execute(statement.execution_options(synchronize_session=False))


def _wants(webhook: Webhook, event: Event, search: Search) -> bool:
    """Whether an event of the same tenant is of a kind that is sent, and not from before the webhook was added."""
    is_own = webhook.tenant_id == search.tenant_id
    return is_own and event.kind in webhook.kinds and event.at >= webhook.created_at


def _delivery(webhook: Webhook, event: Event, search: Search, moment: datetime) -> WebhookDelivery:
    message_id = new_message_id()
    return WebhookDelivery(
        id=message_id,
        tenant_id=webhook.tenant_id,
        webhook_id=webhook.id,
        search_id=search.id,
        seq=event.seq,
        kind=event.kind,
        payload=event_message(message_id, event, search),
        next_try_at=moment,
        created_at=moment,
    )
