"""The first tables: searches and what they write, artifacts, datasets.

Revision: 20261123_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261123_01"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)
WORD = sa.String(16)


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("report", JSON, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_datasets"),
    )
    op.create_table(
        "searches",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("dataset_spec", JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("body_sha256", sa.String(length=64), nullable=True),
        sa.Column("state", WORD, nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("progress", JSON, nullable=True),
        sa.Column("progress_at", MOMENT, nullable=True),
        sa.Column("best_arch_id", sa.String(length=16), nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("stop_reason", WORD, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crash_streak", sa.Integer(), nullable=False),
        sa.Column("saved_step", sa.Integer(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("metric_seq", sa.Integer(), nullable=False),
        sa.Column("ring_count", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_run_at", MOMENT, nullable=False),
        sa.Column("last_rung_at", MOMENT, nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("claimed_at", MOMENT, nullable=True),
        sa.Column("beat_at", MOMENT, nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("cancel_requested_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name=op.f("ck_searches_error_when_failed")),
        sa.CheckConstraint(
            "(state = 'succeeded') = (result IS NOT NULL)", name=op.f("ck_searches_result_when_succeeded")
        ),
        sa.CheckConstraint(
            "(state IN ('cancelled', 'failed', 'succeeded')) = (finished_at IS NOT NULL)",
            name=op.f("ck_searches_finished_when_final"),
        ),
        sa.CheckConstraint(
            "(state IN ('cancelling', 'running')) = (owner IS NOT NULL)", name=op.f("ck_searches_owner_holds_claim")
        ),
        sa.CheckConstraint(
            "state IN ('cancelled', 'cancelling', 'failed', 'queued', 'running', 'succeeded')",
            name=op.f("ck_searches_state"),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_searches"),
        sa.UniqueConstraint("idempotency_key", name="uq_searches_idempotency_key"),
    )
    op.create_index("ix_searches_newest", "searches", ["created_at", "id"])
    op.create_index(
        "ix_searches_claimed",
        "searches",
        ["lease_until"],
        postgresql_where=sa.text("state IN ('cancelling', 'running')"),
        sqlite_where=sa.text("state IN ('cancelling', 'running')"),
    )
    op.create_index(
        "ix_searches_queued",
        "searches",
        ["created_at", "id"],
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )

    op.create_table(
        "architectures",
        sa.Column("search_id", sa.String(length=16), nullable=False),
        sa.Column("arch_id", sa.String(length=16), nullable=False),
        sa.Column("arch", JSON, nullable=False),
        sa.Column("arch_string", sa.Text(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("params", sa.BigInteger(), nullable=False),
        sa.Column("val_top1_pct", sa.Double(), nullable=True),
        sa.Column("test_top1_pct", sa.Double(), nullable=True),
        sa.Column("test_top5_pct", sa.Double(), nullable=True),
        sa.Column("trained", sa.Boolean(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name="fk_architectures_search_id_searches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "arch_id", name="pk_architectures"),
    )
    op.create_index("ix_architectures_arch_id", "architectures", ["arch_id"])

    op.create_table(
        "artifacts",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("search_id", sa.String(length=16), nullable=False),
        sa.Column("arch_id", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name="fk_artifacts_search_id_searches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("key", name="uq_artifacts_key"),
    )
    op.create_index("ix_artifacts_arch_id", "artifacts", ["arch_id"])
    op.create_index("ix_artifacts_search_id", "artifacts", ["search_id"])

    op.create_table(
        "attempts",
        sa.Column("search_id", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("exit_class", WORD, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("log_tail", sa.Text(), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (exit_class IS NULL)", name=op.f("ck_attempts_ended_with_a_class")),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name="fk_attempts_search_id_searches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "fence", name="pk_attempts"),
    )
    op.create_table(
        "events",
        sa.Column("search_id", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name="fk_events_search_id_searches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "seq", name="pk_events"),
    )
    op.create_table(
        "metrics",
        sa.Column("search_id", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("values", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name="fk_metrics_search_id_searches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "seq", name="pk_metrics"),
    )
    op.create_table(
        "run_states",
        sa.Column("search_id", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("saved_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name="fk_run_states_search_id_searches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "fence", "step", name="pk_run_states"),
    )


def downgrade() -> None:
    for table in ("datasets", "artifacts", "run_states", "architectures", "metrics", "events", "attempts", "searches"):
        op.drop_table(table)
