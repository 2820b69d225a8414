"""Searches for the other budgets of a search: queued once its supernet is kept, each a row of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.several_budgets import for_budget
from store import events
from store.models import Search
from store.queued_search import queue_search
from store.search_device_tables import stored_config


def queue_other_budgets(session: Session, first: Search, moment: datetime) -> None:
    """Queue a search for each other budget of `first`, whose row this transaction must have locked; each only once."""
    config = stored_config(session, first)
    if not config.other_budgets:
        return
    queued = {search.config["flops_budget"] for search in _of_family(session, first.id, config.flops_budgets)}
    dataset = DatasetSpec.from_json(first.dataset_spec)
    for place, budget_macs in enumerate(config.other_budgets):
        if budget_macs in queued:
            continue
        created_at = moment + timedelta(microseconds=place)  # claimed in the order in which they were asked for
        other = for_budget(config, first.id, budget_macs)
        search = queue_search(session, other, dataset, created_at, labels=first.labels, tenant_id=first.tenant_id)
        detail = {"search_id": search.id, "flops_budget": budget_macs}
        events.append(session, first, EventKind.BUDGET_QUEUED, moment, detail)


def of_family(session: Session, search: Search) -> Sequence[Search]:
    """The searches that share a supernet for their budgets, `search` among them; none if it has only one budget."""
    return [] if search.family is None else _of_family(session, search.family, search.config["flops_budgets"])


def _of_family(session: Session, first_id: str, budgets: Sequence[int]) -> Sequence[Search]:
    """In the order of the budgets. Others that went on from the first later are not among them."""
    query = select(Search).where(Search.family == first_id).order_by(Search.created_at, Search.id)
    related = [one for one in session.scalars(query) if one.config["flops_budgets"] == list(budgets)]
    return sorted(related, key=lambda one: budgets.index(one.config["flops_budget"]))
