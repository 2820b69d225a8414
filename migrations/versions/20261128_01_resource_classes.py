"""Resource classes of searches: which workers may run them. Those that exist may run on any.

The index of turns begins with tenant and class, so that a claim passes by what its worker does not serve.

Revision: 20261128_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261128_01"
down_revision = "20261127_12"
branch_labels = None
depends_on = None

INDEX = "ix_searches_turns"
IS_QUEUED = sa.text("state = 'queued'")
BEFORE = ["tenant_id", "priority", "created_at", "id", "next_run_at"]
AFTER = ["tenant_id", "resource_class", "priority", "created_at", "id", "next_run_at"]


def upgrade() -> None:
    op.add_column("searches", sa.Column("resource_class", sa.String(8), nullable=False, server_default="any"))
    op.drop_index(INDEX, "searches")
    op.create_index(INDEX, "searches", AFTER, postgresql_where=IS_QUEUED, sqlite_where=IS_QUEUED)


def downgrade() -> None:
    op.drop_index(INDEX, "searches")
    op.create_index(INDEX, "searches", BEFORE, postgresql_where=IS_QUEUED, sqlite_where=IS_QUEUED)
    op.execute("ALTER TABLE searches DROP COLUMN resource_class")
