"""What `GET /searches/{id}` shows: the row and what belongs to it, read in one transaction, and its version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, exists, func, literal, select
from sqlalchemy.orm import Session, defer

from store.db import Database
from store.models import Architecture, Artifact, Attempt, Search, Supernet
from store.other_budgets import of_family
from store.states import SearchState
from store.unchanged import unknown_search

DOWNLOAD_KIND = "safetensors"


@dataclass(frozen=True)
class ShownVersion:
    """Identifies what is shown, except for a place in the queue.

    Args:
        version: of the row, raised by every change of it and of what belongs to it.
        family: sum of the versions of the searches for all its budgets; 0: it has one budget.
    """

    version: int
    family: int
    state: SearchState


@dataclass(frozen=True)
class ShownSearch:
    """A search, and what belongs to it.

    Args:
        is_downloadable: whether the best architecture has a checkpoint.
        family: the searches that share a supernet for their budgets, in their order; empty: it has one budget.
    """

    search: Search
    version: ShownVersion
    attempts: Sequence[Attempt]
    best: Architecture | None
    is_downloadable: bool
    supernet: Supernet | None
    family: Sequence[Search]


def read_version(database: Database, search_id: str) -> ShownVersion:
    """The version of a search, by one look at the index of ids; two, if it has several budgets. Raises NotFound."""
    row = database.row("version, state, family", Search.__tablename__, search_id)
    if row is None:
        raise unknown_search(search_id)
    version, state, first_id = row
    family = 0
    if first_id is not None:
        with database.read_scope() as session:
            family = session.scalar(select(func.sum(Search.version)).where(Search.family == first_id)) or 0
    return ShownVersion(version, int(family), SearchState(state))


def read_shown(session: Session, search_id: str) -> ShownSearch:
    """A search with what belongs to it. Raises NotFound."""
    row = session.execute(_SHOWN, {"search_id": search_id}).one_or_none()
    if row is None:
        raise unknown_search(search_id)
    search, best, supernet, is_downloadable = row
    attempts: Sequence[Attempt] = ()
    if search.fence:
        attempts = session.scalars(_ATTEMPTS, {"search_id": search_id}).all()
    family = of_family(session, search)
    version = ShownVersion(search.version, sum(one.version for one in family), search.state)
    return ShownSearch(search, version, attempts, best, bool(is_downloadable), supernet, family)


# Made once: to put such a statement together takes longer than its execution.
_ID = bindparam("search_id", type_=Search.id.type)
_OF_BEST = and_(Architecture.search_id == Search.id, Architecture.arch_id == Search.best_arch_id)
_FILE_OF_BEST = (
    Artifact.search_id == Search.id,
    Artifact.arch_id == Search.best_arch_id,
    Artifact.kind == literal(DOWNLOAD_KIND),
)
_SHOWN = (
    select(Search, Architecture, Supernet, exists().where(*_FILE_OF_BEST))
    .outerjoin(Architecture, _OF_BEST)
    .outerjoin(Supernet, Supernet.search_id == Search.id)
    .where(Search.id == _ID)
)
_ATTEMPTS = (
    select(Attempt)
    .options(defer(Attempt.log_tail, raiseload=True))
    .where(Attempt.search_id == _ID)
    .order_by(Attempt.fence)
)
