"""Searches side by side: the rows, and what belongs to each, read in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.models import Architecture, Attempt, Search
from store.unchanged import unknown_search


@dataclass(frozen=True)
class ComparedSearch:
    """A search, and what belongs to it.

    Args:
        best: its best architecture so far, that of its result once it has one; None: none yet.
        compute_s: CPU seconds of all its attempts, as far as their workers have reported.
    """

    search: Search
    best: Architecture | None
    compute_s: float


def read_compared(session: Session, search_ids: Sequence[str]) -> list[ComparedSearch]:
    """These searches, in this order. Raises NotFound, naming the first one that there is not."""
    found = {search.id: search for search in session.scalars(select(Search).where(Search.id.in_(search_ids)))}
    if missing := [search_id for search_id in search_ids if search_id not in found]:
        raise unknown_search(missing[0])
    arch_ids = {search.best_arch_id for search in found.values() if search.best_arch_id is not None}
    reported = select(Architecture).where(Architecture.search_id.in_(found), Architecture.arch_id.in_(arch_ids))
    best = {(row.search_id, row.arch_id): row for row in session.scalars(reported)}
    sums = select(Attempt.search_id, func.sum(Attempt.compute_s)).where(Attempt.search_id.in_(found))
    compute_s = {search_id: float(total) for search_id, total in session.execute(sums.group_by(Attempt.search_id))}
    return [
        ComparedSearch(
            search=found[search_id],
            best=best.get((search_id, found[search_id].best_arch_id or "")),
            compute_s=compute_s.get(search_id, 0.0),
        )
        for search_id in search_ids
    ]
