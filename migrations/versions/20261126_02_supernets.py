"""Supernets: what finished searches leave for later ones to go on from.

Revision: 20261126_02
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261126_02"
down_revision = "20261126_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "supernets",
        sa.Column("search_id", sa.String(16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name=op.f("fk_supernets_search_id_searches"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", name=op.f("pk_supernets")),
    )


def downgrade() -> None:
    """Their files stay in the artifact store until their searches are deleted; no search can go on from them."""
    op.drop_table("supernets")
