"""How long what has ended is kept: files and events of final searches, datasets and weights that were refused.

Each has a setting in seconds, and 0, the default, keeps it permanently. What a search in progress needs is not touched:
a search that another one goes on from keeps everything until that one has ended, and one that an alias of a model
stands for as long as it does. Part files of uploads whose process died are deleted at once (`store/upload_folder.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, exists, or_, select
from sqlalchemy.orm import Session

from autonl_core.spec.event_kinds import EventKind
from store import events
from store.artifacts import ArtifactStore
from store.db import Database, now
from store.leases import lock_row
from store.model_registry.registry import in_use, is_in_use
from store.models import Artifact, Dataset, Event, Metric, RunState, Search, Supernet, WeightSetRow
from store.searches import needed_parents
from store.settings import Settings
from store.states import FINAL, DatasetState, WeightSetState

_BATCH = 100  # searches handled by one call


@dataclass(frozen=True)
class Forgotten:
    """A search whose files are no longer kept: those of the attempts up to `fence`."""

    search_id: str
    fence: int


class RetentionStore:
    """Deletes what is older than its setting allows. Several sweepers may call it at once."""

    def __init__(self, database: Database, artifacts: ArtifactStore, settings: Settings) -> None:
        self._database = database
        self._artifacts = artifacts
        self._settings = settings

    def forget_files(self) -> list[Forgotten]:
        """Delete the checkpoints, reports and run states of old final searches, all but their supernets.

        The caller deletes the folders of their attempts. A search that is resumed afterwards begins from the start.
        """
        keep_s = self._settings.search_files_keep_s
        has_files = or_(*(exists().where(table.search_id == Search.id) for table in (Artifact, RunState)))
        forgotten = []
        for search_id in self._old_searches(keep_s, has_files):
            with self._database.session_scope() as session:
                search = lock_row(session, Search.id == search_id, Search.state.in_(FINAL), ~_is_needed())
                if search is None or session.execute(in_use(search_id)).first() is not None:
                    continue  # resumed, deleted or promoted meanwhile, or another search goes on from it
                keys = self._delete_file_rows(session, search_id)
                detail = {"files": len(keys), "kept_s": keep_s}
                events.append(session, search, EventKind.FILES_DELETED, now(session), detail)
                forgotten.append(Forgotten(search_id, search.fence))
            for key in keys:  # rows first: a crash leaves files without a row, which go with their search
                self._artifacts.delete(key)
        return forgotten

    def forget_events(self) -> int:
        """Delete the events and metrics of old final searches, except the last event; returns of how many searches."""
        newest = Search.event_seq
        has_events = or_(
            exists().where(Event.search_id == Search.id, Event.seq < newest),
            exists().where(Metric.search_id == Search.id),
        )
        old = self._old_searches(self._settings.events_keep_s, has_events)
        for search_id in old:
            with self._database.session_scope() as session:
                search = lock_row(session, Search.id == search_id, Search.state.in_(FINAL))
                if search is not None:
                    session.execute(delete(Event).where(Event.search_id == search_id, Event.seq < search.event_seq))
                    session.execute(delete(Metric).where(Metric.search_id == search_id))
        return len(old)

    def refused_datasets(self) -> Sequence[tuple[str, str]]:
        """Tenants and names of datasets that were refused long ago."""
        return self._refused(Dataset, DatasetState.INVALID)

    def refused_weights(self) -> Sequence[tuple[str, str]]:
        """Tenants and names of weight sets that were refused long ago."""
        return self._refused(WeightSetRow, WeightSetState.REFUSED)

    def _refused(
        self, table: type[Dataset | WeightSetRow], refused: DatasetState | WeightSetState
    ) -> Sequence[tuple[str, str]]:
        if not (keep_s := self._settings.refused_keep_s):
            return ()
        is_refused = table.state == bindparam(None, refused, type_=table.state.type, literal_execute=True)
        with self._database.read_scope() as session:
            until = now(session) - timedelta(seconds=keep_s)
            query = select(table.tenant_id, table.name).where(is_refused, table.checked_at < until).limit(_BATCH)
            return [(tenant_id, name) for tenant_id, name in session.execute(query)]

    def _old_searches(self, keep_s: float, has_some: ColumnElement[bool]) -> Sequence[str]:
        """Ids of final searches that ended more than `keep_s` ago; none if that is 0."""
        if not keep_s:
            return ()
        with self._database.read_scope() as session:
            ended = Search.state.in_(FINAL), Search.finished_at < now(session) - timedelta(seconds=keep_s)
            query = select(Search.id).where(*ended, has_some, ~_is_needed()).limit(_BATCH)
            return session.scalars(query).all()

    def _delete_file_rows(self, session: Session, search_id: str) -> Sequence[str]:
        """Delete the rows that name files of a search; returns the keys of its artifacts."""
        supernet = select(Supernet.key).where(Supernet.search_id == search_id)
        of_search: tuple[Any, ...] = (Artifact.search_id == search_id, Artifact.key.not_in(supernet))
        keys = session.scalars(delete(Artifact).where(*of_search).returning(Artifact.key)).all()
        session.execute(delete(RunState).where(RunState.search_id == search_id))
        return keys


def _is_needed() -> ColumnElement[bool]:
    """Whether a search that is not final goes on from the row of `Search`, or an alias of a model stands for it."""
    return or_(Search.id.in_(needed_parents()), is_in_use())
