"""Every list, filter and page, and what sweepers ask, is answered from an index: by the plans of both databases.

The statements are those that the stores send. PostgreSQL is kept from scanning small tables, which it otherwise does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from autonl_core.datasets.spec import DIGITS
from store.models import Search, SearchLabel
from store.search_lists import SearchFilter
from store.settings import Settings
from store.states import SearchState
from store.stores import Stores
from store.tenant_rows import DEFAULT_TENANT
from store.turns import SERVED_BY_GPU
from tests.store import sample_rows as samples

# Tenants and webhooks are few, and whose turn it is depends on all of them; a CONSTANT ROW is a value of the statement.
_FEW = r"(?!tenants\b|webhooks\b)"
WHOLE_TABLE = re.compile(
    rf"Seq Scan on {_FEW}|^SCAN {_FEW}(?!CONSTANT ROW|\(subquery|.*USING (COVERING )?INDEX)", re.MULTILINE
)
SORTED = re.compile(r"\bSort\b|USE TEMP B-TREE FOR ORDER BY")
DAY_S = 86_400.0
YESTERDAY = datetime.now(UTC) - timedelta(seconds=DAY_S)
COPIES = 400
TEAM, PROJECT = ("team", "x"), ("project", "y")

# Filter, and the index whose order and condition it is. Half of the searches are of `digits`, few are paused.
FILTERS: dict[str, tuple[SearchFilter, str]] = {
    "all": (SearchFilter(), "ix_searches_newest"),
    "state": (SearchFilter(state=SearchState.PAUSED), "ix_searches_state"),
    "dataset": (SearchFilter(dataset="d7"), "ix_searches_dataset"),
    "dataset and state": (SearchFilter(dataset="digits", state=SearchState.PAUSED), "ix_searches_dataset_state"),
    "created after": (SearchFilter(created_after=YESTERDAY), "ix_searches_newest"),
    "state, created after": (SearchFilter(state=SearchState.PAUSED, created_after=YESTERDAY), "ix_searches_state"),
    "label": (SearchFilter(labels=(TEAM,)), "ix_search_labels_newest"),
    "labels": (SearchFilter(labels=(TEAM, PROJECT)), "ix_search_labels_newest"),
    "label, created after": (SearchFilter(labels=(TEAM,), created_after=YESTERDAY), "ix_search_labels_newest"),
}
INDEXES = {
    "repeats": "ix_searches_first_repeat",
    "sweep": "ix_searches_(claimed|running)",
    "due notifications": "ix_searches_(queued|due)",
    "claim": "ix_searches_turns",
    "any due": "ix_searches_(turns|due)",
    "oldest wait": "ix_searches_due",
    "compute estimate": "ix_searches_state",
    "old files": "ix_searches_finished",
    "old events": "ix_searches_finished",
    "refused datasets": "ix_datasets_refused",
    "refused weights": "ix_weight_sets_refused",
    "old answers": "ix_first_answers_answered_at",
    "webhook feed": "ix_searches_unannounced",
}
OTHERS: dict[str, Callable[[Stores, str], object]] = {
    "shown": lambda stores, search_id: stores.searches.shown(search_id),
    "repeats": lambda stores, search_id: stores.searches.repeats(search_id),
    "compared": lambda stores, search_id: stores.searches.compared([search_id]),
    "counts": lambda stores, _: stores.searches.count_by_state(),
    "queued by class": lambda stores, _: stores.searches.queued_by_class(),
    "datasets": lambda stores, _: stores.datasets.page(1),
    "events": lambda stores, search_id: stores.events.after(search_id, 1),
    "news": lambda stores, search_id: stores.events.news({search_id: 0}),
    "compute estimate": lambda stores, _: stores.compute_estimates.estimate(samples.CONFIG, DIGITS),
    "metrics": lambda stores, search_id: stores.updates.metrics_after(search_id, 1),
    "architecture history": lambda stores, search_id: stores.architecture_history.of_search(search_id),
    "queue": lambda stores, search_id: stores.queue.places([search_id]),
    "are needed": lambda stores, _: stores.sweeps.are_needed(),
    "sweep": lambda stores, _: stores.sweeps.sweep(),
    "due notifications": lambda stores, _: stores.sweeps.due_notifications(),
    "oldest wait": lambda stores, _: stores.sweeps.oldest_wait_s(),
    "claim": lambda stores, _: stores.claims.claim("worker"),
    "any due": lambda stores, _: stores.claims.any_due(SERVED_BY_GPU),
    "checks": lambda stores, _: stores.checks.claim("checker"),
    "webhook backlog": lambda stores, _: stores.webhook_sending.backlog(),
    "weight checks": lambda stores, _: stores.weight_checks.claim("checker"),
    "old files": lambda stores, _: stores.retention.forget_files(),
    "old events": lambda stores, _: stores.retention.forget_events(),
    "refused datasets": lambda stores, _: stores.retention.refused_datasets(),
    "refused weights": lambda stores, _: stores.retention.refused_weights(),
    "old supernets": lambda stores, _: stores.supernets.delete_old(),
    "old answers": lambda stores, _: stores.answers.delete_old(),
    "states": lambda stores, search_id: stores.searches.states_of([search_id]),
    "webhook feed": lambda stores, _: stores.webhook_feed.read(),
    "webhook claim": lambda stores, _: stores.webhook_sending.claim(),
    "webhook clean up": lambda stores, _: stores.webhook_sending.clean_up(),
}

OF_A_TENANT = ("shown", "repeats", "compared", "datasets", "events", "news", "compute estimate", "metrics", "queue")


@contextmanager
def sent(stores: Stores) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent and look rows up, with their values."""
    noted: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if re.match(r"SELECT\b.*\bFROM\b|DELETE|UPDATE", statement, re.DOTALL):
            noted.append((statement, values))

    event.listen(stores.database.engine, "before_cursor_execute", note)
    yield noted
    event.remove(stores.database.engine, "before_cursor_execute", note)


def plans(stores: Stores, act: Callable[[], object]) -> list[str]:
    """The plan of every statement that `act` sends."""
    with sent(stores) as noted:
        act()
    assert noted
    is_sqlite = stores.database.engine.dialect.name == "sqlite"
    with stores.database.engine.connect() as connection:
        if not is_sqlite:
            for kind in ("seqscan", "bitmapscan"):
                connection.execute(text(f"SET enable_{kind} = off"))
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        found = [connection.exec_driver_sql(f"{explain} {statement}", values) for statement, values in noted]
        return ["\n".join(str(row[-1]) for row in plan) for plan in found]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Old files, events and refused datasets are deleted after a day."""
    return settings.model_copy(update=dict.fromkeys(("search_files_keep_s", "events_keep_s", "refused_keep_s"), DAY_S))


@pytest.fixture
def search_id(stores: Stores) -> str:
    """A search that is repeated, among many."""
    samples.queue_search(stores)
    samples.claim(stores)
    repeated, _ = stores.searches.create(samples.CONFIG.model_copy(update={"repeat": 2}), DIGITS)
    with stores.database.session_scope() as session:
        row = dict(session.execute(select(Search.__table__).where(Search.id == repeated.id)).mappings().one())
        session.execute(insert(Search), [_copy(row, number) for number in range(COPIES)])
        labels = [_label(row, number) for number in range(COPIES) if number % 50 < 2]
        session.execute(insert(SearchLabel), [*labels, *(one | {"key": "project", "value": "y"} for one in labels[:9])])
        if stores.database.engine.dialect.name == "postgresql":  # which does so now and then; SQLite is never asked to
            session.execute(text("ANALYZE"))
    return repeated.id


def _copy(row: dict[str, Any], number: int) -> dict[str, Any]:
    config = samples.CONFIG.to_json()
    state = {0: SearchState.PAUSED, 1: SearchState.PAUSED, 2: SearchState.QUEUED}.get(
        number % 40, SearchState.CANCELLED
    )
    dataset = "digits" if number % 2 else f"d{number % 100 + 1}"
    created_at = row["created_at"] - timedelta(minutes=number)
    changed = {"id": f"{number:016x}", "config": config, "state": state, "dataset": dataset, "created_at": created_at}
    finished_at = created_at if state == SearchState.CANCELLED else None
    return row | changed | {"idempotency_key": None, "next_run_at": created_at, "finished_at": finished_at}


def _label(row: dict[str, Any], number: int) -> dict[str, Any]:
    created_at = row["created_at"] - timedelta(minutes=number)
    return {"search_id": f"{number:016x}", "key": "team", "value": "x", "created_at": created_at}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.usefixtures("search_id")
def test_lists_and_their_later_pages_are_in_the_order_of_an_index(stores: Stores, name: str) -> None:
    (wanted, index), stores = FILTERS[name], stores.of_tenant(DEFAULT_TENANT)
    token = stores.searches.list(wanted, page_size=1).next_page_token
    assert token is not None
    for page_token in (None, token):
        (plan,) = plans(stores, partial(stores.searches.list, wanted, page_token=page_token))
        assert re.search(rf"\b{index}\b", plan), plan
        assert WHOLE_TABLE.search(plan) is None, plan
        if len(wanted.labels) < 2:  # of two, PostgreSQL begins with the rarer one
            assert SORTED.search(plan) is None, plan


@pytest.mark.parametrize("name", OTHERS)
def test_other_reads_are_by_an_index(stores: Stores, search_id: str, name: str) -> None:
    asked = stores.of_tenant(DEFAULT_TENANT) if name in OF_A_TENANT else stores
    found = plans(asked, lambda: OTHERS[name](asked, search_id))
    for plan in found:
        assert WHOLE_TABLE.search(plan) is None, plan
    assert re.search(INDEXES.get(name, ""), "\n".join(found))
