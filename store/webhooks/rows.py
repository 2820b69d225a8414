"""The tables of webhooks: who is called, and every message to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.columns import Base, Json, words
from store.tenant_rows import OfTenant

_IS_PENDING = text("state = 'pending'")
_IS_DONE = text("state <> 'pending'")


class WebhookState(StrEnum):
    """Whether messages are sent. In every state, those of new events are written down."""

    ACTIVE = "active"
    PAUSED = "paused"  # by a user
    DISABLED = "disabled"  # because all calls failed for days


class DeliveryState(StrEnum):
    """How far a message is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up
    DROPPED = "dropped"  # too many were waiting, or it waited too long


class Webhook(OfTenant, Base):
    """A receiver, what it wants to know, and the claim of the sender that calls it now."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]] = mapped_column(Json)  # EventKind
    secret: Mapped[str] = mapped_column(String(64))
    old_secret: Mapped[str | None] = mapped_column(String(64))
    old_secret_until: Mapped[datetime | None]

    state: Mapped[WebhookState] = mapped_column(words(WebhookState), default=WebhookState.ACTIVE)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(Integer, default=0)  # calls in a row
    hold_until: Mapped[datetime | None]  # it is not called before
    tried_at: Mapped[datetime]  # or when it was created: who was called least recently is next
    succeeded_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    fence: Mapped[int] = mapped_column(Integer, default=0)
    lease_until: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('active', 'disabled', 'paused')", name="state"),
        CheckConstraint("(state = 'disabled') = (disabled_reason IS NOT NULL)", name="reason_when_disabled"),
        Index("ix_webhooks_tenant", "tenant_id", "created_at", "id"),
    )


class WebhookDelivery(OfTenant, Base):
    """One message to one receiver. Its id is the `webhook-id` of every try, so that a receiver recognises repetitions.

    A message outlives its search. One without a search is a test call.
    """

    __tablename__ = "webhook_deliveries"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    search_id: Mapped[str | None] = mapped_column(String(16))
    seq: Mapped[int] = mapped_column(Integer)  # of the event
    kind: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]

    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState), default=DeliveryState.PENDING)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime]
    first_tried_at: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    status: Mapped[int | None] = mapped_column(Integer)  # of the last response
    problem: Mapped[str | None] = mapped_column(Text)  # of the last try
    excerpt: Mapped[str | None] = mapped_column(Text)  # of the last response
    duration_s: Mapped[float | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("webhook_id", "search_id", "seq"),
        CheckConstraint("state IN ('delivered', 'dropped', 'failed', 'pending')", name="state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended_unless_pending"),
        Index("ix_webhook_deliveries_newest", "webhook_id", "created_at", "id"),
        Index(
            "ix_webhook_deliveries_pending",
            "webhook_id",
            "created_at",
            "search_id",
            "seq",
            postgresql_where=_IS_PENDING,
            sqlite_where=_IS_PENDING,
        ),
        Index("ix_webhook_deliveries_ended", "ended_at", postgresql_where=_IS_DONE, sqlite_where=_IS_DONE),
    )
