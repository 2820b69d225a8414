"""A new search: its row, and the first event of its log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from store import events
from store.labels import label_rows
from store.models import Search
from store.search_device_tables import keep_table
from store.states import SearchState
from store.usage import add_usage
from telemetry.ids import current_ids
from telemetry.traces import current_traceparent


def queue_search(
    session: Session,
    config: SearchConfig,
    dataset: DatasetSpec,
    moment: datetime,
    *,
    idempotency_key: str | None = None,
    body_sha256: str | None = None,
    tenant_id: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Search:
    """Queue a new search. Raises IntegrityError if the key has been used.

    Args:
        tenant_id: whose it is; None: the one that the session is bound to.
    """
    search = Search(
        id=secrets.token_hex(8),
        config=config.to_json(),
        dataset=dataset.name,
        dataset_spec=dataset.to_json(),
        priority=config.priority,
        resource_class=config.resource_class,
        idempotency_key=idempotency_key,
        body_sha256=body_sha256,
        request_id=current_ids().get("request_id"),
        traceparent=current_traceparent(),
        labels=dict(labels or {}),
        state=SearchState.QUEUED,
        fence=0,
        event_seq=0,
        created_at=moment,
        next_run_at=moment,
    )
    if tenant_id is not None:
        search.tenant_id = tenant_id
    _add(session, search, config)
    detail = {"dataset": dataset.name, "flops_budget": config.flops_budget}
    events.append(session, search, EventKind.CREATED, moment, detail)
    return search


def _add(session: Session, search: Search, config: SearchConfig) -> None:
    """With its device table and its labels, and counted as used."""
    session.add(search)
    session.flush()
    keep_table(session, search.id, config)
    add_usage(session, search.tenant_id, search.created_at, searches=1)
    session.add_all(label_rows(search, search.labels))
