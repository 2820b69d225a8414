"""Tenants: whom each search, dataset and weight set belongs to; keys; row-level security on PostgreSQL.

What exists belongs to the tenant `default`, and so does what processes of an earlier version store.

Revision: 20261127_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261127_01"
down_revision = "20261126_02"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
OF_TENANT = ("searches", "datasets", "weight_sets", "api_keys", "page_sessions")
OF_SEARCH = ("architectures", "artifacts", "attempts", "events", "metrics", "run_states", "supernets")
# The setting of a transaction: a tenant, or `*` for all. Without one, as in an earlier version, it is `default`.
SETTING = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default')"


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.execute("INSERT INTO tenants (id, created_at) VALUES ('default', CURRENT_TIMESTAMP)")
    _add_tenant_to_searches()
    for table in ("datasets", "weight_sets"):
        _add_tenant_to_names(table)
    op.drop_index(op.f("ix_datasets_sha256"), "datasets")
    op.create_index(op.f("ix_datasets_tenant_id_sha256"), "datasets", ["tenant_id", "sha256"])
    _create_keys()
    if op.get_bind().dialect.name == "postgresql":
        _secure_rows()


def downgrade() -> None:
    """Tenants are lost with all that belongs to them, except `default`; files stay in their folders."""
    if op.get_bind().dialect.name == "postgresql":
        for table in (*OF_TENANT, *OF_SEARCH, "tenants"):
            op.execute(f"DROP POLICY tenant ON {table}")
            op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    is_of_other = sa.column("tenant_id", sa.String()) != "default"
    of_others = sa.select(sa.column("id", sa.String())).select_from(sa.table("searches")).where(is_of_other)
    for name in OF_SEARCH:  # foreign keys may be off, as on SQLite
        op.execute(sa.delete(sa.table(name)).where(sa.column("search_id", sa.String()).in_(of_others)))
    for name in ("searches", "datasets", "weight_sets"):
        op.execute(sa.delete(sa.table(name)).where(is_of_other))
    op.drop_table("page_sessions")
    op.drop_table("api_keys")
    op.drop_index(op.f("ix_datasets_tenant_id_sha256"), "datasets")
    op.create_index(op.f("ix_datasets_sha256"), "datasets", ["sha256"])
    for table in ("datasets", "weight_sets"):
        with op.batch_alter_table(table) as altered:
            altered.drop_constraint(op.f(f"fk_{table}_tenant_id_tenants"), type_="foreignkey")
            altered.drop_constraint(op.f(f"pk_{table}"), type_="primary")
            altered.create_primary_key(op.f(f"pk_{table}"), ["name"])
            altered.drop_column("tenant_id")
    op.drop_index("ix_searches_newest", "searches")
    with op.batch_alter_table("searches") as altered:
        altered.drop_constraint(op.f("uq_searches_tenant_id_idempotency_key"), type_="unique")
        altered.drop_constraint(op.f("fk_searches_tenant_id_tenants"), type_="foreignkey")
        altered.drop_column("tenant_id")
        altered.create_unique_constraint("uq_searches_idempotency_key", ["idempotency_key"])
    op.create_index("ix_searches_newest", "searches", ["created_at", "id"])
    op.drop_table("tenants")


def _tenant_id() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(32), nullable=False, server_default="default")


def _add_tenant_to_searches() -> None:
    op.drop_index("ix_searches_newest", "searches")
    with op.batch_alter_table("searches") as altered:
        altered.add_column(_tenant_id())
        altered.drop_constraint("uq_searches_idempotency_key", type_="unique")
        altered.create_unique_constraint(
            op.f("uq_searches_tenant_id_idempotency_key"), ["tenant_id", "idempotency_key"]
        )
        altered.create_foreign_key(op.f("fk_searches_tenant_id_tenants"), "tenants", ["tenant_id"], ["id"])
    op.create_index("ix_searches_newest", "searches", ["tenant_id", "created_at", "id"])


def _add_tenant_to_names(table: str) -> None:
    """A name is a tenant's own."""
    with op.batch_alter_table(table) as altered:
        altered.add_column(_tenant_id())
        altered.drop_constraint(op.f(f"pk_{table}"), type_="primary")
        altered.create_primary_key(op.f(f"pk_{table}"), ["tenant_id", "name"])
        altered.create_foreign_key(op.f(f"fk_{table}_tenant_id_tenants"), "tenants", ["tenant_id"], ["id"])


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        _tenant_id(),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "page_sessions",
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        _tenant_id(),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_page_sessions_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_page_sessions_key_id_api_keys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_page_sessions")),
    )
    op.create_index(op.f("ix_page_sessions_key_id"), "page_sessions", ["key_id"])
    op.create_index(op.f("ix_page_sessions_expires_at"), "page_sessions", ["expires_at"])


def _secure_rows() -> None:
    """A transaction sees and writes the rows of its tenant. The owner of the tables is no exception; superusers are."""
    rules = dict.fromkeys(OF_TENANT, f"{SETTING} IN ('*', tenant_id)") | {"tenants": f"{SETTING} IN ('*', id)"}
    of_search = "EXISTS (SELECT 1 FROM searches WHERE searches.id = {table}.search_id)"  # of those that it sees
    rules |= {table: f"{SETTING} = '*' OR {of_search.format(table=table)}" for table in OF_SEARCH}
    for table, rule in rules.items():
        op.execute(f"CREATE POLICY tenant ON {table} USING ({rule})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
