"""Models: what their aliases stand for, and what they stood for before.

Revision: 20261128_02
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261128_02"
down_revision = "20261128_01"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
OF_OWN_TENANT = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default') IN ('*', tenant_id)"
IS_CURRENT = sa.text("is_current")


def upgrade() -> None:
    op.create_table(
        "promotions",
        sa.Column("tenant_id", sa.String(32), server_default="default", nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("alias", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("search_id", sa.String(16), nullable=False),
        sa.Column("arch_id", sa.String(16), nullable=False),
        sa.Column("before", sa.Integer(), nullable=True),
        sa.Column("restores", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=True),
        sa.Column("promoted_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "model", "alias", "number", name=op.f("pk_promotions")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_promotions_tenant_id_tenants")),
    )
    of_alias = ["tenant_id", "model", "alias"]
    op.create_index(
        "uq_promotions_current",
        "promotions",
        of_alias,
        unique=True,
        postgresql_where=IS_CURRENT,
        sqlite_where=IS_CURRENT,
    )
    op.create_index("ix_promotions_search_id", "promotions", ["search_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY tenant ON promotions USING ({OF_OWN_TENANT})")
        op.execute("ALTER TABLE promotions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Which results were promoted is lost."""
    op.drop_table("promotions")
