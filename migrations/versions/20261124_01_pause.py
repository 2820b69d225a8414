"""Searches can be paused: two more states, of which `pausing` still holds a lease. Progress updates are numbered.

Revision: 20261124_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261124_01"
down_revision = "20261123_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("searches", sa.Column("report_seq", sa.Integer(), nullable=False, server_default="0"))
    _replace(
        claimed="state IN ('cancelling', 'pausing', 'running')",
        states="state IN ('cancelled', 'cancelling', 'failed', 'paused', 'pausing', 'queued', 'running', 'succeeded')",
    )


def downgrade() -> None:
    """Paused searches are queued again. Stop the workers first: a search that is pausing must have saved and exited."""
    op.execute("UPDATE searches SET state = 'queued' WHERE state = 'paused'")
    op.execute("UPDATE searches SET state = 'running' WHERE state = 'pausing'")
    op.execute("UPDATE attempts SET exit_class = 'drained' WHERE exit_class = 'paused'")
    _replace(
        claimed="state IN ('cancelling', 'running')",
        states="state IN ('cancelled', 'cancelling', 'failed', 'queued', 'running', 'succeeded')",
    )
    with op.batch_alter_table("searches") as table:
        table.drop_column("report_seq")


def _replace(*, claimed: str, states: str) -> None:
    """Replace the constraints and the index that depend on the list of states."""
    op.drop_index("ix_searches_claimed", "searches")
    with op.batch_alter_table("searches") as table:
        table.drop_constraint(op.f("ck_searches_owner_holds_claim"), type_="check")
        table.drop_constraint(op.f("ck_searches_state"), type_="check")
        table.create_check_constraint(
            op.f("ck_searches_owner_holds_claim"), sa.text(f"({claimed}) = (owner IS NOT NULL)")
        )
        table.create_check_constraint(op.f("ck_searches_state"), sa.text(states))
    op.create_index(
        "ix_searches_claimed",
        "searches",
        ["lease_until"],
        postgresql_where=sa.text(claimed),
        sqlite_where=sa.text(claimed),
    )
