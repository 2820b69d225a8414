"""Claims of webhooks by senders, and what became of each try.

A claim is of a webhook, not of one message, so a receiver gets one call at a time, and its messages in order. Claims
and results are compare-and-swap on (webhook, fence). A sender that dies holds its webhook until the lease ends; then
another one sends the same message again, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from store.db import Database, now
from store.json_values import plain_text
from store.leases import ORIGIN, Origin
from store.models import Search
from store.polled_query import PolledQuery
from store.webhooks.messages import body_of
from store.webhooks.retries import GIVE_UP_S, GONE, ORDERED_TRIES, CallResult, next_try
from store.webhooks.rows import DeliveryState, Webhook, WebhookDelivery, WebhookState

LEASE_S = 60.0  # longer than any call takes
MAX_WAITING = 10_000  # messages that one webhook keeps while it is paused, disabled or slow
WAITING_KEPT_S = 7 * 86_400.0
ENDED_KEPT_S = 30 * 86_400.0
_MAX_TEXT = 500  # characters of a problem or an excerpt

Clock = Callable[[Session], datetime]


@dataclass(frozen=True)
class Call:
    """One try to make: a message, where to send it, and the secrets to sign it with, of which the first is the newest.

    `fence` is that of the claim, `tries` is how often the message was tried before. A test call has no search.
    """

    webhook_id: str
    fence: int
    message_id: str
    url: str
    secrets: tuple[str, ...]
    body: bytes
    tries: int = 0
    search_id: str | None = None
    origin: Origin = field(default=Origin(), compare=False)


@dataclass(frozen=True)
class Backlog:
    """Messages that wait, by the state of their webhook, and for how long the one that is due longest has been due."""

    waiting: Mapping[WebhookState, int]
    oldest_due_s: float


class WebhookSendingStore:
    """Any number of senders may share the work, and any of them may die.

    Args:
        clock: the time by the database's clock; tests move it.
    """

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database = database
        self._clock = clock
        self._pending = PolledQuery(database, select(WebhookDelivery.id).where(_PENDING))

    def claim(self) -> Call | None:
        """The next call, of the webhook that was called least recently; None if no call is due."""
        if not self._pending.finds_any():
            return None
        with self._database.session_scope() as session:
            moment = self._clock(session)
            query = select(Webhook).where(_is_free(moment), or_(_has_test(moment), _has_event(moment)))
            query = query.order_by(Webhook.tried_at, Webhook.id).limit(1)
            # Not the lock of a deletion: transactions that write messages hold what excludes that.
            webhook = session.scalars(query.with_for_update(key_share=True, skip_locked=True)).first()
            message = _next_message(session, webhook, moment) if webhook is not None else None
            if webhook is None or message is None:
                return None
            webhook.fence += 1
            webhook.lease_until = moment + timedelta(seconds=LEASE_S)
            webhook.tried_at = moment
            old = webhook.old_secret if webhook.old_secret_until and webhook.old_secret_until > moment else None
            return Call(
                webhook.id,
                webhook.fence,
                message.id,
                webhook.url,
                (webhook.secret,) if old is None else (webhook.secret, old),
                body_of(message.payload),
                message.tries,
                message.search_id,
                _origin(session, message),
            )

    def record(self, call: Call, result: CallResult) -> DeliveryState | None:
        """Store what became of `call`, and release its webhook.

        Returns:
            The state of the message from now on; None if the lease had ended and another sender has taken over, or the
            webhook was deleted: then nothing is stored.
        """
        with self._database.session_scope() as session:
            held = Webhook.id == call.webhook_id, Webhook.fence == call.fence
            query = select(Webhook).where(*held).with_for_update(key_share=True)
            webhook = session.scalars(query).one_or_none()
            message = session.get(WebhookDelivery, call.message_id)
            if webhook is None or message is None:
                return None
            webhook.lease_until = None
            _record(webhook, message, result, self._clock(session))
            return message.state

    def backlog(self) -> Backlog:
        """What waits, and whether senders keep up with what is due."""
        with self._database.read_scope() as session:
            moment = self._clock(session)
            waiting = select(Webhook.state, func.count()).select_from(WebhookDelivery).join(Webhook, _OF_WEBHOOK)
            counts = dict.fromkeys(WebhookState, 0)
            for state, count in session.execute(waiting.where(_PENDING).group_by(Webhook.state)):
                counts[state] = count
            # What was held is due since it is no longer held.
            due_at = case(
                (Webhook.hold_until > WebhookDelivery.next_try_at, Webhook.hold_until),
                else_=WebhookDelivery.next_try_at,
            )
            is_event = and_(_takes_events(moment), *_is_next(moment))
            is_test = and_(_PENDING, _IS_TEST, WebhookDelivery.next_try_at <= moment)
            due = select(func.min(due_at)).select_from(WebhookDelivery).join(Webhook, _OF_WEBHOOK)
            oldest = session.scalar(due.where(or_(is_event, is_test)))
        return Backlog(counts, 0.0 if oldest is None else max(0.0, (moment - oldest).total_seconds()))

    def clean_up(self) -> int:
        """Delete messages that ended long ago, and drop those of which too many wait; returns how many are dropped."""
        with self._database.session_scope() as session:
            moment = self._clock(session)
            old = WebhookDelivery.ended_at < moment - timedelta(seconds=ENDED_KEPT_S)
            session.execute(delete(WebhookDelivery).where(WebhookDelivery.state != DeliveryState.PENDING, old))
            webhook_ids = session.scalars(select(Webhook.id)).all()
            return sum(_drop_waiting(session, webhook_id, moment) for webhook_id in webhook_ids)


def forgiven(webhook: Webhook, session: Session, moment: datetime) -> None:
    """Call an active webhook again as if it had never failed: at once, with all that waits."""
    webhook.failures = 0
    webhook.hold_until = None
    fresh: dict[str, Any] = {"tries": 0, "first_tried_at": None, "next_try_at": moment}
    session.execute(update(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id, _PENDING).values(**fresh))


_PENDING = WebhookDelivery.state == DeliveryState.PENDING
_IS_TEST = WebhookDelivery.search_id.is_(None)
_OF_WEBHOOK = WebhookDelivery.webhook_id == Webhook.id


def _is_free(moment: datetime) -> ColumnElement[bool]:
    return or_(Webhook.lease_until.is_(None), Webhook.lease_until < moment)


def _has_test(moment: datetime) -> ColumnElement[bool]:
    """A test call is made at once, even if the webhook is paused, disabled or held."""
    return exists().where(_OF_WEBHOOK, _PENDING, _IS_TEST, WebhookDelivery.next_try_at <= moment)


def _has_event(moment: datetime) -> ColumnElement[bool]:
    return and_(_takes_events(moment), exists().where(_OF_WEBHOOK, *_is_next(moment)))


def _takes_events(moment: datetime) -> ColumnElement[bool]:
    not_held = or_(Webhook.hold_until.is_(None), Webhook.hold_until <= moment)
    return and_(Webhook.state == WebhookState.ACTIVE, not_held)


def _is_next(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """Due, and no earlier event of the same search is still tried for the first times."""
    earlier = aliased(WebhookDelivery)
    waits = exists().where(
        earlier.webhook_id == WebhookDelivery.webhook_id,
        earlier.search_id == WebhookDelivery.search_id,
        earlier.seq < WebhookDelivery.seq,
        earlier.state == DeliveryState.PENDING,
        earlier.tries < ORDERED_TRIES,
    )
    return _PENDING, _IS_TEST.is_(False), WebhookDelivery.next_try_at <= moment, ~waits


def _next_message(session: Session, webhook: Webhook, moment: datetime) -> WebhookDelivery | None:
    """A test call if there is one, else the event that is due and was written first."""
    order = WebhookDelivery.created_at, WebhookDelivery.search_id, WebhookDelivery.seq
    of_webhook = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id).order_by(*order).limit(1)
    test = session.scalars(of_webhook.where(_PENDING, _IS_TEST, WebhookDelivery.next_try_at <= moment)).first()
    if test is not None or webhook.state != WebhookState.ACTIVE:
        return test
    return session.scalars(of_webhook.where(*_is_next(moment))).first()


def _origin(session: Session, message: WebhookDelivery) -> Origin:
    """Where the search of a message comes from; of a test call, and of a search that was deleted, whose it is."""
    row = session.execute(select(*ORIGIN).where(Search.id == message.search_id)).one_or_none()
    return Origin(tenant_id=message.tenant_id) if row is None else Origin(*row)


def _record(webhook: Webhook, message: WebhookDelivery, result: CallResult, moment: datetime) -> None:
    """Write the result of a try to the message, and what follows from it for its webhook."""
    first_tried_at = message.first_tried_at or moment
    message.first_tried_at, message.tried_at = first_tried_at, moment
    message.tries += 1
    message.status, message.duration_s = result.status, result.duration_s
    message.problem = plain_text(result.problem)[:_MAX_TEXT] if result.problem else None
    message.excerpt = plain_text(result.excerpt)[:_MAX_TEXT]
    if result.succeeded:
        _end(message, DeliveryState.DELIVERED, moment)
        webhook.failures, webhook.hold_until, webhook.succeeded_at = 0, None, moment
        return
    if message.search_id is None:  # a test call is made once, and changes nothing else
        _end(message, DeliveryState.FAILED, moment)
        return
    webhook.failures += 1
    again = next_try(first_tried_at, moment, message.tries)
    if result.status == GONE:
        _disable(webhook, f"the receiver answered {GONE}: it is gone")
    elif again is None and (webhook.succeeded_at is None or webhook.succeeded_at < first_tried_at):
        _disable(webhook, f"no call has succeeded for {GIVE_UP_S / 86_400:g} days; the last one: {message.problem}")
    elif again is None:
        _end(message, DeliveryState.FAILED, moment)
    else:
        message.next_try_at = again
        if result.concerns_endpoint:
            webhook.hold_until = again


def _disable(webhook: Webhook, reason: str) -> None:
    """Stop calling. The message stays pending: it is the first one when the webhook is enabled again."""
    if webhook.state == WebhookState.ACTIVE:
        webhook.state = WebhookState.DISABLED
        webhook.disabled_reason = plain_text(reason)[:_MAX_TEXT]


def _end(message: WebhookDelivery, state: DeliveryState, moment: datetime) -> None:
    message.state, message.ended_at = state, moment


def _drop_waiting(session: Session, webhook_id: str, moment: datetime) -> int:
    """Drop the messages of a webhook that were written first, so that a bounded number waits, none of them too long."""
    waiting = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == webhook_id, _PENDING)
    newest = waiting.order_by(
        WebhookDelivery.created_at.desc(), WebhookDelivery.search_id.desc(), WebhookDelivery.seq.desc()
    )
    too_many = WebhookDelivery.id.in_(newest.offset(MAX_WAITING).limit(1 << 31))
    too_old = WebhookDelivery.created_at < moment - timedelta(seconds=WAITING_KEPT_S)
    problem = func.coalesce(WebhookDelivery.problem, "not sent: too many messages were waiting, or it waited too long")
    values: dict[str, Any] = {"state": DeliveryState.DROPPED, "ended_at": moment, "problem": problem}
    dropped = update(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id, _PENDING, or_(too_many, too_old))
    rows = session.execute(
        dropped.values(**values).returning(WebhookDelivery.id).execution_options(synchronize_session=False)
    )
    return len(rows.all())
