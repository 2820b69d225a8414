"""Devices: device tables that were uploaded, and those that searches go by.

Revision: 20261129_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261129_01"
down_revision = "20261128_02"
branch_labels = None
depends_on = None

SETTING = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default')"
OF_SEARCH = "EXISTS (SELECT 1 FROM searches WHERE searches.id = search_device_tables.search_id)"
RULES = {
    "devices": f"{SETTING} IN ('*', tenant_id)",
    "search_device_tables": f"{SETTING} = '*' OR {OF_SEARCH}",
}


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("tenant_id", sa.String(32), server_default="default", nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_devices")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_devices_tenant_id_tenants")),
    )
    op.create_table(
        "search_device_tables",
        sa.Column("search_id", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("search_id", name=op.f("pk_search_device_tables")),
        sa.ForeignKeyConstraint(
            ["search_id"],
            ["searches.id"],
            name=op.f("fk_search_device_tables_search_id_searches"),
            ondelete="CASCADE",
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table, rule in RULES.items():
            op.execute(f"CREATE POLICY tenant ON {table} USING ({rule})")
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Devices are lost, and searches that limit latency cannot go on."""
    op.drop_table("search_device_tables")
    op.drop_table("devices")
