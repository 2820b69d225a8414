"""Searches as users see them: create, get, list, delete. What workers do is in `claims.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from autonl_core.datasets.spec import BUILTIN, DatasetSpec
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.result import SearchResult
from store.answers import expiry
from store.compared_searches import ComparedSearch, read_compared
from store.conditions import is_queued
from store.db import Database, now
from store.errors import (
    DatasetChanged,
    IdempotencyConflict,
    StartChanged,
    StateConflict,
)
from store.model_registry.registry import in_use
from store.models import Attempt, Dataset, Search, Supernet, WeightSetRow
from store.other_budgets import of_family
from store.page_tokens import MAX_PAGE_SIZE
from store.queued_search import queue_search
from store.quotas import require_searches
from store.repeats import all_repeats, queue_repeats
from store.search_device_tables import stored_config
from store.search_lists import SearchFilter, SearchPage, list_searches
from store.settings import Settings
from store.shown_searches import ShownSearch, ShownVersion, read_shown, read_version
from store.states import FINAL, DatasetState, SearchState, WeightSetState
from store.tenant_rows import Tenant
from store.turns import ALL_CLASSES
from store.unchanged import lock_search, unknown_search
from store.webhooks.feed import announce_all


class SearchStore:
    """Searches, one row each. Safe for any number of processes; every method is one transaction."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def create(
        self,
        config: SearchConfig,
        dataset: DatasetSpec,
        *,
        idempotency_key: str | None = None,
        body_sha256: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[Search, bool]:
        """Queue a new search and its repeats, or find the one that the same request created before.

        Returns:
            The search, and whether this call created it.
        Raises:
            IdempotencyConflict: the key was used with a different body.
            DatasetChanged: the registered dataset is no longer `dataset`.
            StartChanged: the weight set or the supernet that it starts from is no longer there.
            QuotaExceeded: its tenant may not queue as many, or has used up another quota.
        """
        if idempotency_key is not None and (known := self._find_by_key(idempotency_key)) is not None:
            return _same_request(known, body_sha256), False
        try:
            with self._database.session_scope() as session:
                moment = now(session)
                _release_old_key(session, idempotency_key, moment)
                require_searches(session, self._settings, config.repeat, config.priority)
                _lock_dataset(session, dataset)
                _lock_start(session, config)
                request: dict[str, str | None] = {"idempotency_key": idempotency_key, "body_sha256": body_sha256}
                search = queue_search(session, config, dataset, moment, labels=labels, **request)
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

    def config(self, search: Search) -> SearchConfig:
        """The configuration of a search, with its device table if it limits latency.

        Raises:
            OtherVersion: another version of this program stored it.
            DeviceTableError: it has not the device table that it was accepted with.
        """
        with self._database.read_scope() as session:
            return stored_config(session, search)

    def version(self, search_id: str) -> ShownVersion:
        """The version of what GET shows of a search. Raises NotFound."""
        return read_version(self._database, search_id)

    def shown(self, search_id: str) -> ShownSearch:
        """What GET shows of a search. Raises NotFound."""
        with self._database.read_scope() as session:
            return read_shown(session, search_id)

    def of_all_budgets(self, search: Search) -> Sequence[Search]:
        """The searches that share a supernet for their budgets, in their order; none if `search` has one budget."""
        with self._database.read_scope() as session:
            return of_family(session, search)

    def repeats(self, search_id: str) -> Sequence[Search]:
        """The searches that differ from this one only in the seed, with this one, by seed. Raises NotFound."""
        with self._database.read_scope() as session:
            return all_repeats(session, _get(session, search_id))

    def compared(self, search_ids: Sequence[str]) -> Sequence[ComparedSearch]:
        """These searches with what belongs to them, in this order. Raises NotFound if one of them does not exist."""
        with self._database.read_scope() as session:
            return read_compared(session, search_ids)

    def attempts(self, search_id: str) -> Sequence[Attempt]:
        """All attempts of a search, oldest first."""
        with self._database.read_scope() as session:
            return session.scalars(select(Attempt).where(Attempt.search_id == search_id).order_by(Attempt.fence)).all()

    def list(self, wanted: SearchFilter, *, page_size: int = 50, page_token: str | None = None) -> SearchPage:
        """The searches that match, newest first.

        Raises:
            PageTokenError: the token is malformed, or was issued for another filter.
        """
        with self._database.read_scope() as session:
            return list_searches(session, wanted, min(max(page_size, 1), MAX_PAGE_SIZE), page_token)

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

    def queued_by_class(self) -> dict[str, int]:
        """How many searches are queued in each resource class, including classes without any."""
        counts = dict.fromkeys(map(str, ALL_CLASSES), 0)
        query = select(Search.resource_class, func.count()).where(is_queued()).group_by(Search.resource_class)
        with self._database.read_scope() as session:
            for name, count in session.execute(query):
                counts[name] = count
        return counts

    def delete(self, search_id: str, versions: Collection[int] | None = None) -> None:
        """Delete a final search with all its rows. Afterwards, the caller has to delete its files.

        Args:
            versions: one of them must be the version of the search; None: any.

        Raises:
            NotFound: no such search.
            SearchChanged: it has another version.
            StateConflict: it is not final yet, or one that goes on from it is not, or a model stands for it.
        """
        with self._database.session_scope() as session:
            session.get(Supernet, search_id, with_for_update=True)  # after this, no search can begin to go on from it
            lock_search(session, search_id, versions)
            if (successor := session.scalars(unfinished_successors(search_id).limit(1)).first()) is not None:
                raise StateConflict(
                    f"search {successor} goes on from search {search_id}; cancel it, or wait until it ends",
                    state=_get(session, search_id).state,
                )
            if (used := session.execute(in_use(search_id).limit(1)).first()) is not None:
                raise StateConflict(
                    f"{used.model}@{used.alias} stands for search {search_id}; promote another search, or remove the "
                    "alias, before deleting it",
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
            return session.scalars(query.where(Search.created_at >= expiry(now(session)))).one_or_none()


def _release_old_key(session: Session, idempotency_key: str | None, moment: datetime) -> None:
    """Allow an expired key to be used again. The search that it created stays, without a key."""
    if idempotency_key is not None:
        expired = Search.idempotency_key == idempotency_key, Search.created_at < expiry(moment)
        session.execute(update(Search).where(*expired).values(idempotency_key=None))


def _lock_dataset(session: Session, dataset: DatasetSpec) -> None:
    """Prevent the dataset from being deleted before the search that uses it is committed. Raises DatasetChanged."""
    if dataset.name in BUILTIN:
        return
    row = session.scalars(select(Dataset).where(Dataset.name == dataset.name).with_for_update(read=True)).one_or_none()
    if row is None or row.state != DatasetState.READY or row.spec["fingerprint"] != dataset.fingerprint:
        raise DatasetChanged(f"dataset {dataset.name!r} was deleted or replaced in the meantime; read it again")


def unfinished_successors(parent: str) -> Select[str]:
    """The ids of searches that are not final and go on from the search with the id `parent`."""
    return select(Search.id).where(Search.parent == parent, Search.state.not_in(FINAL))


def needed_parents() -> Select[str | None]:
    """The ids of searches that others, which are not final, go on from. None of them is null.

    It names no row of the statement around it, so it is answered once: unfinished searches are few, and an index has
    them by tenant and state.
    """
    successor = aliased(Search)
    unfinished = successor.state.in_(sorted(set(SearchState) - FINAL))
    of_tenants = select(successor.parent).join(Tenant, Tenant.id == successor.tenant_id)
    return of_tenants.where(unfinished, successor.parent.is_not(None))


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


def _same_request(search: Search, body_sha256: str | None) -> Search:
    if search.body_sha256 != body_sha256:
        raise IdempotencyConflict(
            f"idempotency key {search.idempotency_key!r} already created search {search.id} from a different body; "
            "send the same body again, or use a new key"
        )
    return search
