"""Supernets that finished searches left, for later searches to go on from; kept for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from autonl_core.errors import ParentError
from autonl_core.files import write_atomically
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.parent_search import ParentSearch
from store.artifacts import ArtifactStore, StoredFile, copy_stream
from store.db import Database, now
from store.errors import ArtifactError, NotFound
from store.models import Search, Supernet
from store.searches import needed_parents, search_result
from store.settings import Settings
from store.usage import add_usage


class SupernetStore:
    """Reads and deletes kept supernets; a running search adds its own with `UpdateStore.supernet`."""

    def __init__(self, database: Database, artifacts: ArtifactStore, settings: Settings) -> None:
        self._database = database
        self._artifacts = artifacts
        self._settings = settings

    def kept_until(self, search: Search) -> datetime | None:
        """When the supernet of a final search may be deleted; None: the search goes on."""
        ended = search.finished_at
        return None if ended is None else ended + timedelta(seconds=self._settings.supernet_keep_s)

    def get(self, search_id: str) -> Supernet | None:
        """The supernet that a search left; None: it left none, or it was deleted since."""
        with self._database.read_scope() as session:
            return session.get(Supernet, search_id)

    def parent(self, search_id: str) -> ParentSearch:
        """The finished search that another one can go on from. Raises ParentError if it cannot."""
        with self._database.read_scope() as session:
            search, supernet = session.get(Search, search_id), session.get(Supernet, search_id)
        if search is None:
            raise ParentError(f"no search {search_id!r}; GET /searches lists them")
        result = search_result(search)
        if result is None:
            wait = "; wait until it has" if not search.state.final else ""
            raise ParentError(
                f"search {search_id} is {search.state}; only one that succeeded can be gone on from{wait}"
            )
        if supernet is None:
            raise ParentError(f"the supernet of search {search_id} is not kept{self._why_not(search)}")
        return ParentSearch(
            id=search_id,
            config=SearchConfig.stored(search.config),
            dataset_fingerprint=search.dataset_spec["fingerprint"],
            teacher_resolution=result.init.teacher_resolution if result.init is not None else None,
        )

    def fetch(self, search_id: str, target: Path) -> None:
        """Copy the file of a kept supernet to `target`.

        Raises:
            NotFound: it is not kept (any more).
            ArtifactError: the file is not the one that was stored.
        """
        supernet = self.get(search_id)
        if supernet is None:
            raise NotFound(f"the supernet of search {search_id} was deleted since this search was accepted")
        with self._artifacts.open(supernet.key) as source:
            sha256, _ = write_atomically(target, lambda temporary: copy_stream(source, temporary))
        if sha256 != supernet.sha256:
            raise ArtifactError(f"the supernet of search {search_id} is damaged: {supernet.key}; start without it")

    def delete_old(self) -> int:
        """Delete what is kept for longer than AUTONL_SUPERNET_KEEP_S and no waiting or running search needs.

        Rows are deleted first: a crash in between leaves a file without a row, which goes with its search.
        """
        with self._database.session_scope() as session:
            until = now(session) - timedelta(seconds=self._settings.supernet_keep_s)
            is_over = exists().where(Search.id == Supernet.search_id, Search.finished_at < until)
            # Locked first: a search that is being created on one of them is then refused, or seen by what follows.
            old = session.scalars(select(Supernet.search_id).where(is_over).with_for_update()).all()
            deleted = (
                delete(Supernet)
                .where(Supernet.search_id.in_(old), Supernet.search_id.not_in(needed_parents()))
                .returning(Supernet.key)
            )
            keys = session.scalars(deleted.execution_options(synchronize_session=False)).all()
        for key in keys:
            self._artifacts.delete(key)
        return len(keys)

    def _why_not(self, search: Search) -> str:
        config = SearchConfig.stored(search.config)
        if config.keep_supernet is False:
            return ", as its `keep_supernet` asked for"
        days = self._settings.supernet_keep_s / 86_400
        return f": it was too large, made by an earlier version, or older than {days:g} days; start without it"


def put_supernet(session: Session, search: Search, stored: StoredFile, moment: datetime) -> None:
    """Store the supernet of `search`, whose row this transaction must have locked, in place of an earlier one."""
    row = session.get(Supernet, search.id)
    if row is None:
        row = Supernet(search_id=search.id)
        session.add(row)
    row.key, row.sha256, row.size_bytes = stored.key, stored.sha256, stored.size_bytes
    add_usage(session, search.tenant_id, moment, added_bytes=stored.size_bytes)
