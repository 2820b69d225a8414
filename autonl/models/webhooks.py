"""Webhooks, and the messages to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Webhook:
    """A URL that is called about events."""

    id: str
    url: str
    kinds: tuple[str, ...]
    description: str
    state: str  # active, paused or disabled
    disabled_reason: str | None
    failures: int  # calls in a row
    hold_until: datetime | None  # not called before, because calls failed
    succeeded_at: datetime | None
    waiting: int  # messages still to be sent
    created_at: datetime
    document: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class WebhookSecret(Webhook):
    """A webhook with its new secret, which the service does not show again."""

    secret: str = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """A message to a webhook, and the last try to send it."""

    id: str
    kind: str  # of the event; `webhook.test`: a test call
    search_id: str | None
    seq: int  # of the event in its search
    state: str  # pending, delivered, failed or dropped
    tries: int
    next_try_at: datetime | None
    tried_at: datetime | None
    status: int | None  # of the last response
    problem: str | None  # why the last try failed
    excerpt: str | None  # beginning of the last response body
    duration_s: float | None
    created_at: datetime
    ended_at: datetime | None
    document: Mapping[str, Any] = field(repr=False, compare=False)
