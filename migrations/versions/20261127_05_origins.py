"""Where a search comes from: the request that made it, and the spans that its own spans belong to.

Revision: 20261127_05
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261127_05"
down_revision = "20261127_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("searches", sa.Column("request_id", sa.String(64), nullable=True))
    op.add_column("searches", sa.Column("traceparent", sa.String(64), nullable=True))
    op.add_column("attempts", sa.Column("traceparent", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "traceparent")
    op.drop_column("searches", "traceparent")
    op.drop_column("searches", "request_id")
