"""Weight sets: uploaded weights, with the lease of their check and what it found.

Revision: 20261126_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_01"
down_revision = "20261125_01"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "weight_sets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("weights", JSON),
        sa.Column("problems", JSON),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(128)),
        sa.Column("lease_until", MOMENT),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT),
        sa.CheckConstraint("state IN ('checking', 'ready', 'refused')", name=op.f("ck_weight_sets_state")),
        sa.CheckConstraint(
            "state = 'checking' OR owner IS NULL", name=op.f("ck_weight_sets_owner_only_while_checking")
        ),
        sa.CheckConstraint(
            "(state = 'checking') = (checked_at IS NULL)", name=op.f("ck_weight_sets_checked_when_told")
        ),
        sa.CheckConstraint("(state = 'ready') = (weights IS NOT NULL)", name=op.f("ck_weight_sets_weights_when_ready")),
        sa.CheckConstraint(
            "(state = 'refused') = (problems IS NOT NULL)", name=op.f("ck_weight_sets_problems_when_refused")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_weight_sets")),
    )
    op.create_index(
        "ix_weight_sets_checking",
        "weight_sets",
        ["created_at"],
        postgresql_where=sa.text("state = 'checking'"),
        sqlite_where=sa.text("state = 'checking'"),
    )


def downgrade() -> None:
    """Uploaded weight sets are deleted; their files stay in the folder, and can be uploaded again."""
    op.drop_table("weight_sets")
