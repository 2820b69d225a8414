"""Datasets are checked before they can be used: a state, a lease for the check, and the hash of the upload.

Revision: 20261125_01
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261125_01"
down_revision = "20261124_01"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
_CHECKS = {
    "state": "state IN ('checking', 'invalid', 'ready')",
    "owner_only_while_checking": "state = 'checking' OR owner IS NULL",
    "checked_when_told": "(state = 'checking') = (checked_at IS NULL)",
}


def _new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("state", sa.String(16), nullable=False, server_default="ready"),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("fence", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("owner", sa.String(128)),
        sa.Column("lease_until", MOMENT),
        sa.Column("crashes", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("progress", sa.Double()),
        sa.Column("checked_at", MOMENT),
    ]


def upgrade() -> None:
    """Datasets that are already registered stay usable: their images were counted at registration."""
    for column in _new_columns():
        op.add_column("datasets", column)
    op.execute("UPDATE datasets SET checked_at = created_at")
    with op.batch_alter_table("datasets") as table:
        for name, rule in _CHECKS.items():
            table.create_check_constraint(op.f(f"ck_datasets_{name}"), sa.text(rule))
    op.create_index(op.f("ix_datasets_sha256"), "datasets", ["sha256"])
    op.create_index(
        "ix_datasets_checking",
        "datasets",
        ["created_at"],
        postgresql_where=sa.text("state = 'checking'"),
        sqlite_where=sa.text("state = 'checking'"),
    )


def downgrade() -> None:
    """Datasets that are not ready are deleted; they can be added again."""
    op.execute("DELETE FROM datasets WHERE state <> 'ready'")
    op.drop_index("ix_datasets_checking", "datasets")
    op.drop_index(op.f("ix_datasets_sha256"), "datasets")
    with op.batch_alter_table("datasets") as table:
        for name in _CHECKS:
            table.drop_constraint(op.f(f"ck_datasets_{name}"), type_="check")
        for column in _new_columns():
            table.drop_column(column.name)
