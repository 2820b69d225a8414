"""First answers of requests with an idempotency key; they outlive what was created, and are kept for a day.

Keys of an earlier version stay in `searches`, where they still find the search that they created.

Revision: 20261127_07
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261127_07"
down_revision = "20261127_05"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
OF_OWN_TENANT = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default') IN ('*', tenant_id)"


def upgrade() -> None:
    op.create_table(
        "first_answers",
        sa.Column("tenant_id", sa.String(32), nullable=False, server_default="default"),
        sa.Column("route", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "route", "key", name=op.f("pk_first_answers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_first_answers_tenant_id_tenants")),
    )
    op.create_index(op.f("ix_first_answers_answered_at"), "first_answers", ["answered_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY tenant ON first_answers USING ({OF_OWN_TENANT})")
        op.execute("ALTER TABLE first_answers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("first_answers")
