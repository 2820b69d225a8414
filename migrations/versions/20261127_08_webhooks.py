"""Webhooks, the messages to them, and how far the event log of each search has been read for them.

Revision: 20261127_08
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261127_08"
down_revision = "20261127_07"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
OF_OWN_TENANT = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default') IN ('*', tenant_id)"
_IS_PENDING = sa.text("state = 'pending'")
_IS_DONE = sa.text("state <> 'pending'")
_IS_BEHIND = sa.text("event_seq > announced_seq")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("tenant_id", sa.String(32), server_default="default", nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kinds", JSON, nullable=False),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("old_secret", sa.String(64), nullable=True),
        sa.Column("old_secret_until", MOMENT, nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("hold_until", MOMENT, nullable=True),
        sa.Column("tried_at", MOMENT, nullable=False),
        sa.Column("succeeded_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('active', 'disabled', 'paused')", name=op.f("ck_webhooks_state")),
        sa.CheckConstraint(
            "(state = 'disabled') = (disabled_reason IS NOT NULL)", name=op.f("ck_webhooks_reason_when_disabled")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhooks_tenant_id_tenants")),
    )
    op.create_index("ix_webhooks_tenant", "webhooks", ["tenant_id", "created_at", "id"])
    _create_deliveries()
    if op.get_bind().dialect.name == "postgresql":
        for table in ("webhooks", "webhook_deliveries"):
            op.execute(f"CREATE POLICY tenant ON {table} USING ({OF_OWN_TENANT})")
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    # Events from before there were webhooks are of interest to none.
    op.add_column("searches", sa.Column("announced_seq", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE searches SET announced_seq = event_seq")
    op.create_index("ix_searches_unannounced", "searches", ["id"], postgresql_where=_IS_BEHIND, sqlite_where=_IS_BEHIND)


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant_id", sa.String(32), server_default="default", nullable=False),
        sa.Column("webhook_id", sa.String(16), nullable=False),
        sa.Column("search_id", sa.String(16), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=False),
        sa.Column("first_tried_at", MOMENT, nullable=True),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("excerpt", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('delivered', 'dropped', 'failed', 'pending')", name=op.f("ck_webhook_deliveries_state")
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (ended_at IS NULL)", name=op.f("ck_webhook_deliveries_ended_unless_pending")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id_webhooks"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_deliveries_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint(
            "webhook_id", "search_id", "seq", name=op.f("uq_webhook_deliveries_webhook_id_search_id_seq")
        ),
    )
    table = "webhook_deliveries"
    op.create_index("ix_webhook_deliveries_newest", table, ["webhook_id", "created_at", "id"])
    op.create_index(
        "ix_webhook_deliveries_pending",
        table,
        ["webhook_id", "created_at", "search_id", "seq"],
        postgresql_where=_IS_PENDING,
        sqlite_where=_IS_PENDING,
    )
    op.create_index(
        "ix_webhook_deliveries_ended", table, ["ended_at"], postgresql_where=_IS_DONE, sqlite_where=_IS_DONE
    )


def downgrade() -> None:
    """Messages that wait are lost."""
    op.drop_index("ix_searches_unannounced", "searches")
    op.drop_column("searches", "announced_seq")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
