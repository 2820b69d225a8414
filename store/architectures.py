"""Architectures that searches reported, and the files exported from them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from autonl_core.spec.progress import ArchitectureRecord
from store.artifacts import StoredFile
from store.db import Database
from store.errors import NotFound
from store.json_values import plain_json
from store.models import Architecture, Artifact, Search
from store.usage import add_usage


class ArchitectureStore:
    """Reads architectures and their artifacts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_search(self, search_id: str) -> Sequence[Architecture]:
        """All architectures of a search, newest first."""
        query = select(Architecture).where(Architecture.search_id == search_id)
        with self._database.read_scope() as session:
            return session.scalars(query.order_by(Architecture.updated_at.desc(), Architecture.arch_id)).all()

    def get(self, arch_id: str, *, search_id: str | None = None) -> Architecture:
        """An architecture. If several searches found it, a trained record comes first, then the newest.

        Raises:
            NotFound: no search, or not this one, reported such an architecture.
        """
        query = select(Architecture).where(Architecture.arch_id == arch_id)
        if search_id is not None:
            query = query.where(Architecture.search_id == search_id)
        query = query.order_by(Architecture.trained.desc(), Architecture.updated_at.desc(), Architecture.search_id)
        with self._database.read_scope() as session:
            architecture = session.scalars(query.limit(1)).one_or_none()
        if architecture is None:
            scope = f" in search {search_id!r}" if search_id is not None else ""
            raise NotFound(f"no architecture {arch_id!r}{scope}")
        return architecture

    def best_of(self, searches: Sequence[Search]) -> dict[str, Architecture]:
        """Id of a search -> its best architecture so far, of those that have one."""
        best = {search.id: search.best_arch_id for search in searches if search.best_arch_id is not None}
        query = select(Architecture).where(
            Architecture.search_id.in_(best), Architecture.arch_id.in_(set(best.values()))
        )
        with self._database.read_scope() as session:
            return {row.search_id: row for row in session.scalars(query) if row.arch_id == best[row.search_id]}

    def artifacts(self, search_id: str) -> Sequence[Artifact]:
        """The files of a search, newest first."""
        query = select(Artifact).where(Artifact.search_id == search_id)
        with self._database.read_scope() as session:
            return session.scalars(query.order_by(Artifact.created_at.desc(), Artifact.id)).all()

    def artifact(self, arch_id: str, kind: str, *, search_id: str | None = None) -> Artifact | None:
        """The newest file of an architecture in the format `kind`, or None if there is none yet."""
        query = select(Artifact).where(Artifact.arch_id == arch_id, Artifact.kind == kind)
        if search_id is not None:
            query = query.where(Artifact.search_id == search_id)
        with self._database.read_scope() as session:
            return session.scalars(query.order_by(Artifact.created_at.desc(), Artifact.id).limit(1)).one_or_none()


def put_artifact(
    session: Session, search: Search, arch_id: str, kind: str, stored: StoredFile, moment: datetime
) -> None:
    """Make a stored file downloadable as the format `kind` of an architecture.

    This transaction must have locked the row of `search`.
    """
    artifact = Artifact(
        id=secrets.token_hex(8),
        search_id=search.id,
        arch_id=arch_id,
        kind=kind,
        key=stored.key,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        created_at=moment,
    )
    session.add(artifact)
    add_usage(session, search.tenant_id, moment, added_bytes=stored.size_bytes)


def put_architecture(session: Session, search: Search, record: ArchitectureRecord, moment: datetime) -> None:
    """Store `record` as the current best of `search`, whose row this transaction must have locked.

    Accuracies that an earlier record of the same architecture had and this one lacks are kept.
    """
    row = session.get(Architecture, (search.id, record.arch_id))
    if row is None:
        row = Architecture(search_id=search.id, arch_id=record.arch_id, trained=False)
        session.add(row)
    row.arch = plain_json(record.arch)
    row.arch_string, row.macs, row.params = record.arch_string, record.macs, record.params
    for name in ("val_top1_pct", "test_top1_pct", "test_top5_pct"):
        value = plain_json(getattr(record, name))
        if value is not None:
            setattr(row, name, value)
    row.trained = row.trained or record.trained
    row.updated_at = moment
    search.best_arch_id = record.arch_id
