"""Versions of searches, raised by triggers; labels; an index for every list.

Triggers, because workers and replicas of earlier versions write to the same tables during an upgrade.

Revision: 20261127_10
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from store.columns import UtcDateTime

revision = "20261127_10"
down_revision = "20261127_09"
branch_labels = None
depends_on = None

_OF_OWN_TENANT = "COALESCE(NULLIF(current_setting('autonl.tenant', true), ''), 'default') IN ('*', tenant_id)"
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# What GET /searches/{id} shows of the row itself.
_SHOWN = (
    "state", "phase", "progress", "saved_step", "best_arch_id", "result", "stop_reason", "error", "labels", "config",
    "dataset", "started_at", "cancel_requested_at", "finished_at", "next_run_at",
)  # fmt: skip
# What it shows of other rows, and of which columns.
_SHOWN_OF_OTHERS = {
    "attempts": ("owner", "started_at", "ended_at", "exit_class", "detail"),
    "architectures": (
        "arch_string", "macs", "params", "val_top1_pct", "test_top1_pct", "test_top5_pct", "trained", "arch",
    ),
    "artifacts": ("arch_id", "kind", "sha256", "size_bytes"),
    "supernets": ("size_bytes",),
}  # fmt: skip
_LISTINGS = {"state": ("state",), "dataset": ("dataset",), "dataset_state": ("dataset", "state")}
_IS_QUEUED = sa.text("state = 'queued'")
_RELATIONS = {  # column -> what it is on PostgreSQL and on SQLite; {row} names the row
    "parent": ("{row}config ->> 'parent'", "json_extract({row}config, '$.parent')"),
    "family": (
        (
            "CASE WHEN jsonb_array_length({row}config -> 'flops_budgets') > 1 THEN CASE "
            "WHEN {row}config -> 'flops_budget' = {row}config -> 'flops_budgets' -> 0 THEN {row}id "
            "ELSE {row}config ->> 'parent' END END"
        ),
        (
            "CASE WHEN json_array_length({row}config, '$.flops_budgets') > 1 THEN CASE WHEN json_extract({row}config, "
            "'$.flops_budget') = json_extract({row}config, '$.flops_budgets[0]') THEN {row}id "
            "ELSE json_extract({row}config, '$.parent') END END"
        ),
    ),
    "first_repeat": (
        "CASE WHEN ({row}config ->> 'repeat')::integer > 1 THEN coalesce({row}config ->> 'repeat_of', {row}id) END",
        (
            "CASE WHEN json_extract({row}config, '$.repeat') > 1 "
            "THEN coalesce(json_extract({row}config, '$.repeat_of'), {row}id) END"
        ),
    ),
}


def upgrade() -> None:
    op.add_column("searches", sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("searches", sa.Column("labels", _JSON, nullable=False, server_default="{}"))
    for column in _RELATIONS:
        op.add_column("searches", sa.Column(column, sa.String(16), nullable=True))
    op.execute(f"UPDATE searches SET {_assigned()}")  # noqa: S608
    for column in _RELATIONS:
        is_set = sa.text(f"{column} IS NOT NULL")
        of_tenant = ["tenant_id", column]
        op.create_index(f"ix_searches_{column}", "searches", of_tenant, postgresql_where=is_set, sqlite_where=is_set)
    for name, columns in _LISTINGS.items():
        op.create_index(f"ix_searches_{name}", "searches", ["tenant_id", *columns, "created_at", "id"])
    op.create_index(
        "ix_searches_due", "searches", ["next_run_at"], postgresql_where=_IS_QUEUED, sqlite_where=_IS_QUEUED
    )
    op.create_table(
        "search_labels",
        sa.Column("tenant_id", sa.String(32), nullable=False, server_default="default"),
        sa.Column("search_id", sa.String(16), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name=op.f("fk_search_labels_search_id_searches"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_search_labels_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("search_id", "key", name=op.f("pk_search_labels")),
    )
    op.create_index(
        "ix_search_labels_newest", "search_labels", ["tenant_id", "key", "value", "created_at", "search_id"]
    )
    if _is_postgresql():
        op.execute(f"CREATE POLICY tenant ON search_labels USING ({_OF_OWN_TENANT})")
        op.execute("ALTER TABLE search_labels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    for statement in _triggers_of_postgresql() if _is_postgresql() else _triggers_of_sqlite():
        op.execute(statement)


def downgrade() -> None:
    if _is_postgresql():
        for table in ("searches", *_SHOWN_OF_OTHERS):
            op.execute(f"DROP TRIGGER autonl_version ON {table}")
        op.execute("DROP TRIGGER autonl_relations ON searches")
        op.execute("DROP TRIGGER autonl_event ON events")
        for function in ("autonl_raise_version", "autonl_raise_version_of_search", "autonl_relate", "autonl_tell"):
            op.execute(f"DROP FUNCTION {function}()")
    else:
        for table in ("searches", *_SHOWN_OF_OTHERS):
            for change in ("update",) if table == "searches" else ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER autonl_version_{table}_{change}")
        op.execute("DROP TRIGGER autonl_relations")
    op.drop_table("search_labels")
    for name in ("due", *_LISTINGS, *_RELATIONS):
        op.drop_index(f"ix_searches_{name}", "searches")
    for column in (*_RELATIONS, "labels", "version"):
        op.execute(f"ALTER TABLE searches DROP COLUMN {column}")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _expressions(row: str) -> dict[str, str]:
    """What is taken from `config`, of the row that a statement calls `row`."""
    number = 0 if _is_postgresql() else 1
    return {column: both[number].format(row=row) for column, both in _RELATIONS.items()}


def _assigned() -> str:
    return ", ".join(f"{column} = {expression}" for column, expression in _expressions("").items())


def _triggers_of_sqlite() -> list[str]:
    """An AFTER trigger each: before a write, SQLite's cannot change the row."""
    changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in _SHOWN)
    raised = "UPDATE searches SET version = version + 1 WHERE id ="
    statements = [
        (
            f"CREATE TRIGGER autonl_version_searches_update AFTER UPDATE OF {', '.join(_SHOWN)} ON searches "
            f"WHEN {changed} BEGIN {raised} NEW.id; END"
        ),
        (
            "CREATE TRIGGER autonl_relations AFTER INSERT ON searches "  # noqa: S608
            f"BEGIN UPDATE searches SET {_assigned()} WHERE id = NEW.id; END"
        ),
    ]
    for table, columns in _SHOWN_OF_OTHERS.items():
        changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
        name = f"CREATE TRIGGER autonl_version_{table}"
        statements += [
            f"{name}_insert AFTER INSERT ON {table} BEGIN {raised} NEW.search_id; END",
            (
                f"{name}_update AFTER UPDATE OF {', '.join(columns)} ON {table} "
                f"WHEN {changed} BEGIN {raised} NEW.search_id; END"
            ),
            f"{name}_delete AFTER DELETE ON {table} BEGIN {raised} OLD.search_id; END",
        ]
    return statements


def _triggers_of_postgresql() -> list[str]:
    def shown(row: str, columns: tuple[str, ...]) -> str:
        return f"({', '.join(f'{row}.{column}' for column in columns)})"

    def function(name: str, body: str) -> str:
        return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"

    related = " ".join(f"NEW.{column} := {expression};" for column, expression in _expressions("NEW.").items())
    statements = [
        function("autonl_raise_version", "NEW.version := OLD.version + 1; RETURN NEW;"),
        function(
            "autonl_raise_version_of_search",
            "UPDATE searches SET version = version + 1 "
            "WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.search_id ELSE NEW.search_id END; RETURN NULL;",
        ),
        function("autonl_relate", f"{related} RETURN NEW;"),
        function("autonl_tell", "PERFORM pg_notify('autonl_events', NEW.search_id); RETURN NULL;"),
        (
            "CREATE TRIGGER autonl_version BEFORE UPDATE ON searches FOR EACH ROW "
            f"WHEN ({shown('OLD', _SHOWN)} IS DISTINCT FROM {shown('NEW', _SHOWN)}) "
            "EXECUTE FUNCTION autonl_raise_version()"
        ),
        "CREATE TRIGGER autonl_relations BEFORE INSERT ON searches FOR EACH ROW EXECUTE FUNCTION autonl_relate()",
        "CREATE TRIGGER autonl_event AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION autonl_tell()",
    ]
    for table, columns in _SHOWN_OF_OTHERS.items():
        statements.append(
            f"CREATE TRIGGER autonl_version AFTER INSERT OR DELETE OR UPDATE OF {', '.join(columns)} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION autonl_raise_version_of_search()"
        )
    return statements
