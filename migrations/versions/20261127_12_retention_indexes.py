"""Indexes of what has ended or was refused, by when: a sweeper asks for the old ones.

Revision: 20261127_12
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261127_12"
down_revision = "20261127_11"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_searches_finished", "searches", "finished_at", "finished_at IS NOT NULL"),
    ("ix_datasets_refused", "datasets", "checked_at", "state = 'invalid'"),
    ("ix_weight_sets_refused", "weight_sets", "checked_at", "state = 'refused'"),
)


def upgrade() -> None:
    for name, table, column, where in INDEXES:
        op.create_index(name, table, [column], postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def downgrade() -> None:
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
