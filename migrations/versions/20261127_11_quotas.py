"""Priorities, turns and limits of tenants, compute of attempts, and usage by tenant and day.

What exists has the priority 0, tenants have the limits of the settings, and compute counts from now on.

Revision: 20261127_11
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261127_11"
down_revision = "20261127_10"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
SETTING = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default')"  # as in 20261127_01
IS_QUEUED = sa.text("state = 'queued'")
IS_CLAIMED = sa.text("state IN ('cancelling', 'pausing', 'running')")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("limits", JSON))
    op.add_column("tenants", sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("searches", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("compute_s", sa.Double(), nullable=False, server_default="0"))
    columns = ["tenant_id", "priority", "created_at", "id", "next_run_at"]
    op.create_index("ix_searches_turns", "searches", columns, postgresql_where=IS_QUEUED, sqlite_where=IS_QUEUED)
    columns = ["tenant_id"]
    op.create_index("ix_searches_running", "searches", columns, postgresql_where=IS_CLAIMED, sqlite_where=IS_CLAIMED)
    op.create_table(
        "usage",
        sa.Column("tenant_id", sa.String(32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("compute_s", sa.Double(), nullable=False),
        sa.Column("searches", sa.Integer(), nullable=False),
        sa.Column("added_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_usage_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "day", name=op.f("pk_usage")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY tenant ON usage USING ({SETTING} IN ('*', tenant_id))")
        op.execute("ALTER TABLE usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("usage")
    op.drop_index("ix_searches_running", "searches")
    op.drop_index("ix_searches_turns", "searches")
    for table, name in (
        ("attempts", "compute_s"),
        ("searches", "priority"),
        ("tenants", "turn"),
        ("tenants", "limits"),
    ):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
