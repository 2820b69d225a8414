"""Searches that repeat one with other seeds: queued together with it, each a row of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.repeats import other_seeds
from store.models import Search
from store.queued_search import queue_search


def queue_repeats(session: Session, first: Search, config: SearchConfig, dataset: DatasetSpec) -> None:
    """Queue the searches that repeat `first`, to be claimed after it, in the order of their seeds."""
    for place, repeat in enumerate(other_seeds(config, first.id), start=1):
        created_at = first.created_at + timedelta(microseconds=place)
        queue_search(session, repeat, dataset, created_at, labels=first.labels, tenant_id=first.tenant_id)


def all_repeats(session: Session, search: Search) -> Sequence[Search]:
    """The searches that differ only in the seed, `search` among them, in the order of their seeds."""
    if search.first_repeat is None:
        return [search]
    query = select(Search).where(Search.first_repeat == search.first_repeat)
    return sorted(session.scalars(query).all(), key=lambda one: one.config["seed"])
