"""Webhooks as users see them: add, list, change, delete; test calls, the log of deliveries, sending again."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from store.db import Database, now
from store.errors import NotFound, TooManyWebhooks
from store.states import SearchState
from store.webhooks.messages import TEST_TYPE, new_message_id, sample_message
from store.webhooks.rows import DeliveryState, Webhook, WebhookDelivery, WebhookState
from store.webhooks.sending import forgiven

FINAL_KINDS = tuple(state.value for state in (SearchState.SUCCEEDED, SearchState.FAILED, SearchState.CANCELLED))
MAX_WEBHOOKS = 100
MAX_DELIVERIES = 200  # in one answer
OLD_SECRET_S = 24 * 3600.0
SECRET_PREFIX = "whsec_"  # noqa: S105  (says what follows)
_SECRET_BYTES = 32


@dataclass(frozen=True)
class WebhookChange:
    """What to change; None leaves a value as it is."""

    url: str | None = None
    kinds: tuple[str, ...] | None = None
    description: str | None = None
    active: bool | None = None


@dataclass(frozen=True)
class WebhookEntry:
    """A webhook, and how many messages wait to be sent to it."""

    webhook: Webhook
    waiting: int


class WebhookStore:
    """Webhooks, one row each. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, url: str, kinds: Sequence[str], description: str) -> WebhookEntry:
        """Add a webhook with a new secret. `url` is checked. Raises TooManyWebhooks."""
        with self._database.session_scope() as session:
            count = session.scalars(select(func.count()).select_from(Webhook)).one()
            if count >= MAX_WEBHOOKS:
                raise TooManyWebhooks(
                    f"there are {count} webhooks, and at most {MAX_WEBHOOKS} are possible; delete one"
                )
            moment = now(session)
            webhook = Webhook(
                id=secrets.token_hex(8),
                url=url,
                description=description,
                kinds=sorted(set(kinds)),
                secret=new_secret(),
                state=WebhookState.ACTIVE,
                tried_at=moment,
                created_at=moment,
            )
            session.add(webhook)
        return WebhookEntry(webhook, waiting=0)

    def get(self, webhook_id: str) -> WebhookEntry:
        """Raises NotFound."""
        with self._database.read_scope() as session:
            return _entry(session, _get(session, webhook_id))

    def list(self) -> list[WebhookEntry]:
        """All webhooks, the oldest first."""
        with self._database.read_scope() as session:
            webhooks = session.scalars(select(Webhook).order_by(Webhook.created_at, Webhook.id)).all()
            return [_entry(session, webhook) for webhook in webhooks]

    def change(self, webhook_id: str, change: WebhookChange) -> WebhookEntry:
        """Change a webhook. One that becomes active is called at once with what waits. Raises NotFound."""
        with self._database.session_scope() as session:
            webhook = _get(session, webhook_id, lock=True)
            if change.url is not None:
                webhook.url = change.url
            if change.kinds is not None:
                webhook.kinds = sorted(set(change.kinds))
            if change.description is not None:
                webhook.description = change.description
            if change.active is False:
                webhook.state, webhook.disabled_reason = WebhookState.PAUSED, None
            elif change.active and webhook.state != WebhookState.ACTIVE:
                webhook.state, webhook.disabled_reason = WebhookState.ACTIVE, None
                forgiven(webhook, session, now(session))
            session.flush()
            return _entry(session, webhook)

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook with its messages. Raises NotFound."""
        with self._database.session_scope() as session:
            session.delete(_get(session, webhook_id, lock=True))

    def rotate(self, webhook_id: str) -> WebhookEntry:
        """Give it a new secret. For a day, messages are signed with the old one as well. Raises NotFound."""
        with self._database.session_scope() as session:
            webhook = _get(session, webhook_id, lock=True)
            webhook.old_secret = webhook.secret
            webhook.old_secret_until = now(session) + timedelta(seconds=OLD_SECRET_S)
            webhook.secret = new_secret()
            session.flush()
            return _entry(session, webhook)

    def test(self, webhook_id: str) -> WebhookDelivery:
        """Have a sender make a test call; the one that still waits, if there is one. Raises NotFound."""
        with self._database.session_scope() as session:
            webhook = _get(session, webhook_id, lock=True)
            waiting = select(WebhookDelivery).where(
                WebhookDelivery.webhook_id == webhook_id,
                WebhookDelivery.state == DeliveryState.PENDING,
                WebhookDelivery.search_id.is_(None),
            )
            if (known := session.scalars(waiting).first()) is not None:
                return known
            moment, message_id = now(session), new_message_id()
            delivery = WebhookDelivery(
                id=message_id,
                tenant_id=webhook.tenant_id,
                webhook_id=webhook.id,
                search_id=None,
                seq=0,
                kind=TEST_TYPE,
                payload=sample_message(message_id, webhook.id, moment),
                state=DeliveryState.PENDING,
                tries=0,
                next_try_at=moment,
                created_at=moment,
            )
            session.add(delivery)
        return delivery

    def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, before: str | None = None, limit: int = 50
    ) -> Sequence[WebhookDelivery]:
        """The messages of a webhook, newest first, at most `limit`; those older than the message `before`.

        Raises:
            NotFound: no such webhook, or it has no message `before`.
        """
        with self._database.read_scope() as session:
            _get(session, webhook_id)
            query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
            if state is not None:
                query = query.where(WebhookDelivery.state == state)
            if before is not None:
                last = _delivery(session, webhook_id, before)
                same_time = and_(WebhookDelivery.created_at == last.created_at, WebhookDelivery.id < last.id)
                query = query.where(or_(WebhookDelivery.created_at < last.created_at, same_time))
            order = WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()
            return session.scalars(query.order_by(*order).limit(limit)).all()

    def delivery(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """One message. Raises NotFound."""
        with self._database.read_scope() as session:
            _get(session, webhook_id)
            return _delivery(session, webhook_id, delivery_id)

    def resend(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Have a message sent again, under the same id, with as many tries as a new one. Raises NotFound."""
        with self._database.session_scope() as session:
            webhook = _get(session, webhook_id, lock=True)
            delivery = _delivery(session, webhook_id, delivery_id)
            delivery.state, delivery.ended_at = DeliveryState.PENDING, None
            delivery.tries, delivery.first_tried_at = 0, None
            delivery.next_try_at = now(session)
            webhook.hold_until = None
        return delivery


def new_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _get(session: Session, webhook_id: str, *, lock: bool = False) -> Webhook:
    webhook = session.get(Webhook, webhook_id, with_for_update=lock or None)
    if webhook is None:
        raise NotFound(f"no webhook {webhook_id!r}; GET /webhooks lists them")
    return webhook


def _delivery(session: Session, webhook_id: str, delivery_id: str) -> WebhookDelivery:
    found = session.get(WebhookDelivery, delivery_id)
    if found is None or found.webhook_id != webhook_id:
        raise NotFound(f"webhook {webhook_id} has no delivery {delivery_id!r}; GET /webhooks/{webhook_id}/deliveries")
    return found


def _entry(session: Session, webhook: Webhook) -> WebhookEntry:
    pending = WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.state == DeliveryState.PENDING
    return WebhookEntry(webhook, session.scalars(select(func.count()).where(*pending)).one())
