"""Turns of checks: one that takes long makes way for others that wait, and goes on after them.

Revision: 20261127_09
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261127_09"
down_revision = "20261127_08"
branch_labels = None
depends_on = None

TABLES = ("datasets", "weight_sets")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("turns", sa.Integer(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("waits_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "waits_since")
        op.drop_column(table, "turns")
