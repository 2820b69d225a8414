"""Searches as users see them: create, get, list, delete. What workers do is in `claims.py`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from autonl_core.datasets.spec import BUILTIN, DatasetSpec
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.result import SearchResult
from store.db import Database, now
from store.errors import (
    DatasetChanged,
    IdempotencyConflict,
    NotFound,
    PageTokenError,
    StartChanged,
    StateConflict,
)
from store.json_values import plain_text
from store.models import Attempt, Dataset, Search, Supernet, WeightSetRow
from store.other_budgets import of_all_budgets
from store.queued_search import queue_search
from store.repeats import all_repeats, queue_repeats
from store.states import FINAL, DatasetState, SearchState, WeightSetState
from store.unchanged import require_unchanged
from store.webhooks.feed import announce_all

MAX_PAGE_SIZE = 200
IDEMPOTENCY_KEPT_S = 24 * 3600.0


@dataclass(frozen=True)
class SearchFilter:
    """Which searches to list; None means any."""

    state: SearchState | None = None
    dataset: str | None = None
    created_after: datetime | None = None

    def digest(self) -> str:
        after = self.created_after.astimezone(UTC).isoformat() if self.created_after else None
        text = json.dumps([self.state, self.dataset, after])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class SearchPage:
    """Searches, newest first. `next_page_token` requests the next page; None on the last one."""

    searches: Sequence[Search]
    next_page_token: str | None


class SearchStore:
    """Searches, one row each. Safe for any number of processes; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        config: SearchConfig,
        dataset: DatasetSpec,
        *,
        idempotency_key: str | None = None,
        body_sha256: str | None = None,
    ) -> tuple[Search, bool]:
        """Queue a new search and its repeats, or find the one that the same request created before.

        Returns:
            The search, and whether this call created it.
        Raises:
            IdempotencyConflict: the key was used with a different body.
            DatasetChanged: the registered dataset is no longer `dataset`.
            StartChanged: the weight set or the supernet that it starts from is no longer there.
        """
        if idempotency_key is not None and (known := self._find_by_key(idempotency_key)) is not None:
            return _same_request(known, body_sha256), False
        try:
            with self._database.session_scope() as session:
                moment = now(session)
                _release_old_key(session, idempotency_key, moment)
                _lock_dataset(session, dataset)
                _lock_start(session, config)
                search = queue_search(
                    session, config, dataset, moment, idempotency_key=idempotency_key, body_sha256=body_sha256
                )
                queue_repeats(session, search, config, dataset)
            return search, True
        except IntegrityError:
            known = self._find_by_key(idempotency_key) if idempotency_key is not None else None
            if known is None:
                raise
            return _same_request(known, body_sha256), False  # created by the same request in the meantime

    def get(self, search_id: str) -> Search:
        """The search. Raises NotFound."""
        with self._database.read_scope() as session:
            return _get(session, search_id)

    def of_all_budgets(self, search: Search) -> Sequence[Search]:
        """The searches that share a supernet for their budgets, in their order; none if `search` has one budget."""
        if len(search.config.get("flops_budgets", ())) < 2:  # nearly all searches, each time that they are polled
            return []
        with self._database.read_scope() as session:
            return of_all_budgets(session, search)

    def repeats(self, search_id: str) -> Sequence[Search]:
        """The searches that differ from this one only in the seed, with this one, by seed. Raises NotFound."""
        with self._database.read_scope() as session:
            return all_repeats(session, _get(session, search_id))

    def attempts(self, search_id: str) -> Sequence[Attempt]:
        """All attempts of a search, oldest first."""
        with self._database.read_scope() as session:
            return session.scalars(select(Attempt).where(Attempt.search_id == search_id).order_by(Attempt.fence)).all()

    def list(self, wanted: SearchFilter, *, page_size: int = 50, page_token: str | None = None) -> SearchPage:
        """The searches that match, newest first.

        Raises:
            PageTokenError: the token is malformed, or was issued for another filter.
        """
        page_size = min(max(page_size, 1), MAX_PAGE_SIZE)
        query = _matching(wanted).order_by(Search.created_at.desc(), Search.id.desc()).limit(page_size + 1)
        if page_token is not None:
            created_at, search_id = _read_token(page_token, wanted)
            older = and_(Search.created_at == created_at, Search.id < search_id)
            query = query.where(or_(Search.created_at < created_at, older))
        with self._database.read_scope() as session:
            found = session.scalars(query).all()
        page = found[:page_size]
        has_more = len(found) > page_size
        return SearchPage(page, _make_token(page[-1], wanted) if has_more else None)

    def states_of(self, search_ids: Sequence[str]) -> dict[str, SearchState]:
        """The state of each of these searches; those that do not exist are left out."""
        query = select(Search.id, Search.state).where(Search.id.in_(search_ids))
        with self._database.read_scope() as session:
            return {row.id: row.state for row in session.execute(query)}

    def count_by_state(self) -> dict[SearchState, int]:
        """How many searches are in each state, including states without any."""
        counts = dict.fromkeys(SearchState, 0)
        with self._database.read_scope() as session:
            for state, count in session.execute(select(Search.state, func.count()).group_by(Search.state)):
                counts[state] = count
        return counts

    def delete(self, search_id: str, seen: Search | None = None) -> None:
        """Delete a final search with all its rows. Afterwards, the caller has to delete its files.

        Args:
            seen: the row as the caller has read it; it must not have changed since.

        Raises:
            NotFound: no such search.
            SearchChanged: it has.
            StateConflict: it is not final yet, or one that goes on from it is not.
        """
        with self._database.session_scope() as session:
            require_unchanged(session, search_id, seen)
            session.get(Supernet, search_id, with_for_update=True)  # after this, no search can begin to go on from it
            if (successor := session.scalars(unfinished_successors(search_id).limit(1)).first()) is not None:
                raise StateConflict(
                    f"search {successor} goes on from search {search_id}; cancel it, or wait until it ends",
                    state=_get(session, search_id).state,
                )
            announce_all(session, search_id)
            session.flush()
            statement = delete(Search).where(Search.id == search_id, Search.state.in_(FINAL)).returning(Search.id)
            if session.scalars(statement).one_or_none() is None:
                state = _get(session, search_id).state
                raise StateConflict(
                    f"search {search_id} is {state}; it can be deleted once it has ended: cancel it first", state=state
                )

    def _find_by_key(self, idempotency_key: str) -> Search | None:
        """The search that this key created, unless the key has expired."""
        query = select(Search).where(Search.idempotency_key == idempotency_key)
        with self._database.read_scope() as session:
            return session.scalars(query.where(Search.created_at >= _expiry(now(session)))).one_or_none()


def _expiry(moment: datetime) -> datetime:
    """The keys of searches created before this time have expired at `moment`."""
    return moment - timedelta(seconds=IDEMPOTENCY_KEPT_S)


def _release_old_key(session: Session, idempotency_key: str | None, moment: datetime) -> None:
    """Allow an expired key to be used again. The search that it created stays, without a key."""
    if idempotency_key is not None:
        expired = Search.idempotency_key == idempotency_key, Search.created_at < _expiry(moment)
        session.execute(update(Search).where(*expired).values(idempotency_key=None))


def _lock_dataset(session: Session, dataset: DatasetSpec) -> None:
    """Prevent the dataset from being deleted before the search that uses it is committed. Raises DatasetChanged."""
    if dataset.name in BUILTIN:
        return
    row = session.scalars(select(Dataset).where(Dataset.name == dataset.name).with_for_update(read=True)).one_or_none()
    if row is None or row.state != DatasetState.READY or row.spec["fingerprint"] != dataset.fingerprint:
        raise DatasetChanged(f"dataset {dataset.name!r} was deleted or replaced in the meantime; read it again")


def unfinished_successors(parent: str | InstrumentedAttribute[str]) -> Select[str]:
    """The ids of searches that are not final and go on from `parent`, the id of a search or a column of ids."""
    successor = aliased(Search)
    return select(successor.id).where(successor.config["parent"].as_string() == parent, successor.state.not_in(FINAL))


def _lock_start(session: Session, config: SearchConfig) -> None:
    """The same for the weight set and the supernet that the search starts from. Raises StartChanged."""
    if config.init != NO_INIT and config.init not in BUILTIN_WEIGHTS.names():
        wanted = select(WeightSetRow).where(WeightSetRow.name == config.init)
        weights = session.scalars(wanted.with_for_update(read=True)).one_or_none()
        if weights is None or weights.state != WeightSetState.READY:
            raise StartChanged(f"weight set {config.init!r} was deleted in the meantime; read it again")
    if config.parent is not None and session.get(Supernet, config.parent, with_for_update={"read": True}) is None:
        raise StartChanged(f"the supernet of search {config.parent!r} was deleted in the meantime; read it again")


def _get(session: Session, search_id: str) -> Search:
    search = session.get(Search, search_id)
    if search is None:
        raise unknown_search(search_id)
    return search


def search_result(search: Search) -> SearchResult | None:
    """The result of a search; None unless it succeeded. Its paths are bare file names."""
    return SearchResult.from_json(search.result) if search.result is not None else None


def unknown_search(search_id: str) -> NotFound:
    return NotFound(f"no search {search_id!r}; GET /searches lists them")


def _same_request(search: Search, body_sha256: str | None) -> Search:
    if search.body_sha256 != body_sha256:
        raise IdempotencyConflict(
            f"idempotency key {search.idempotency_key!r} already created search {search.id} from a different body; "
            "send the same body again, or use a new key"
        )
    return search


def _matching(wanted: SearchFilter) -> Select[Search]:
    query = select(Search)
    if wanted.state is not None:
        query = query.where(Search.state == wanted.state)
    if wanted.dataset is not None:
        query = query.where(Search.dataset == wanted.dataset)
    if wanted.created_after is not None:
        query = query.where(Search.created_at > wanted.created_after)
    return query


def _make_token(last: Search, wanted: SearchFilter) -> str:
    content = json.dumps([wanted.digest(), last.created_at.isoformat(), last.id])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_token(token: str, wanted: SearchFilter) -> tuple[datetime, str]:
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        digest, created_at, search_id = json.loads(content)
        if not isinstance(search_id, str):
            raise TypeError("the id is not a string")
        last = datetime.fromisoformat(created_at).astimezone(UTC), plain_text(search_id)
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError) as error:
        raise PageTokenError(
            "page_token is malformed; use the next_page_token of the previous page unchanged"
        ) from error
    if digest != wanted.digest():
        raise PageTokenError(
            "page_token was issued for another filter; repeat that filter, or omit the token to start again"
        )
    return last
