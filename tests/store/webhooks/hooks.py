"""Webhooks of tests, calls without a network, and results of calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store.db import now
from store.stores import Stores
from store.webhooks.retries import CallResult
from store.webhooks.rows import DeliveryState, Webhook, WebhookDelivery
from store.webhooks.sending import Call, WebhookSendingStore


class MovedClock:
    """The database's clock, moved ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self, session: Session) -> datetime:
        return now(session) + timedelta(seconds=self.ahead_s)


URL = "https://hooks.example/autonl"
OK = CallResult(204, None, "", 0.25)
DOWN = CallResult(None, "no connection: refused", "", 0.01)
BUSY = CallResult(503, "it answered 503", "later", 0.5)
REFUSED = CallResult(422, "it answered 422", "what is this?", 0.5)
GONE = CallResult(410, "it answered 410", "", 0.5)


@dataclass(frozen=True)
class Sent:
    """What a receiver can read of a call."""

    webhook_id: str
    message_id: str
    type: str
    search_id: str | None
    seq: int | None

    @classmethod
    def of(cls, call: Call) -> Sent:
        message = json.loads(call.body)
        assert message["id"] == call.message_id
        data = message["data"]
        return cls(call.webhook_id, call.message_id, message["type"], data.get("search_id"), data.get("seq"))


def add_webhook(stores: Stores, *kinds: str, url: str = URL) -> str:
    """A webhook for these kinds of events; its id."""
    return stores.webhooks.add(url, kinds or ("succeeded", "failed", "cancelled"), "").webhook.id


def calls(sending: WebhookSendingStore, result: CallResult = OK) -> Iterator[Sent]:
    """Make all calls that are due, each with the same result."""
    while (call := sending.claim()) is not None:
        assert sending.record(call, result) is not None
        yield Sent.of(call)


def message_of(call: Call) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(call.body)
    return message


def skip_to_next_try(stores: Stores, clock: MovedClock, until_s: float) -> None:
    """Move the clock to the next try of a message that waits, but not beyond `until_s` from now."""
    with stores.database.read_scope() as session:
        pending = WebhookDelivery.state == DeliveryState.PENDING, WebhookDelivery.next_try_at > clock(session)
        due: datetime | None = session.execute(select(func.min(WebhookDelivery.next_try_at)).where(*pending)).scalar()
        ahead_s = until_s if due is None else (due - now(session)).total_seconds() + 0.01
    clock.ahead_s = min(ahead_s, until_s)


def end_leases(stores: Stores) -> None:
    """Let the leases of all senders have ended a second ago."""
    with stores.database.session_scope() as session:
        past = now(session) - timedelta(seconds=1)
        session.execute(update(Webhook).where(Webhook.lease_until.is_not(None)).values(lease_until=past))
