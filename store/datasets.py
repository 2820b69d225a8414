"""The data sets that searches can name: the built-in ones, and those registered in the database.

A data set is added in the state `checking`, which makes its row the job of a checker (`store/dataset_checks.py`). An
archive whose content was checked before, under whatever name, is ready at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from autonl_core.datasets.sources import UPLOAD_SOURCE
from autonl_core.datasets.spec import BUILTIN, DatasetSpec
from store.artifacts import ArtifactStore
from store.dataset_files import DatasetFiles, Upload
from store.db import Database, now
from store.errors import DatasetExists, DatasetInUse, NotFound
from store.json_values import plain_json
from store.models import Dataset, Search
from store.states import FINAL, DatasetState


@dataclass(frozen=True)
class DatasetEntry:
    """A data set. Built-in ones have no `created_at` and no `report`; counts of one that is not ready are zero."""

    spec: DatasetSpec
    report: Mapping[str, Any] | None = None
    created_at: datetime | None = None
    state: DatasetState = DatasetState.READY
    sha256: str | None = None
    size_bytes: int | None = None
    progress: float | None = None


@dataclass(frozen=True)
class Added:
    """What adding a data set led to; `created`: it was not there before."""

    entry: DatasetEntry
    created: bool


class DatasetStore:
    """Registered data sets; the built-in ones are always there."""

    def __init__(self, database: Database, files: DatasetFiles, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts
        self.files = files

    def add_path(self, name: str, kind: str, path: Path, *, outdated: str | None = None) -> Added:
        """Register what lies at `path`, to be checked. What is registered already stays as it is, unless it is invalid,
        or its fingerprint is `outdated`: then it is checked anew.

        Raises:
            DatasetExists: the name is taken by a built-in, or by another place.
        """
        return self._add(_unchecked(name, kind, path), None, None, outdated=outdated)

    def add_upload(self, name: str, upload: Upload) -> Added:
        """Register a complete upload under `name`, to be checked, or ready if its content was checked before.

        Raises:
            DatasetExists: the name is taken by a built-in, or by other content.
        """
        sha256 = upload.complete()
        path = self.files.archive(sha256)
        with self.files.locked():
            return self._add(
                _unchecked(name, UPLOAD_SOURCE, path), sha256, upload.size_bytes, place=lambda: upload.rename(path)
            )

    def get(self, name: str) -> DatasetEntry:
        """The data set of this name. Raises NotFound, naming those there are."""
        if name in BUILTIN:
            return DatasetEntry(BUILTIN[name])
        with self._database.read_scope() as session:
            row = session.get(Dataset, name)
        if row is None:
            known = ", ".join(entry.spec.name for entry in self.list()[:20])
            raise NotFound(f"no data set {name!r}; there are: {known}")
        return entry_of(row)

    def list(self) -> list[DatasetEntry]:
        """The built-in data sets, then the registered ones by name."""
        with self._database.read_scope() as session:
            rows = session.scalars(select(Dataset).order_by(Dataset.name)).all()
        return [DatasetEntry(spec) for spec in BUILTIN.values()] + [entry_of(row) for row in rows]

    def delete(self, name: str) -> None:
        """Forget a data set, and delete its files unless another one has the same.

        Raises:
            NotFound: there is none of this name.
            DatasetInUse: it is built in, or a search that is not final is about it.
        """
        if name in BUILTIN:
            raise DatasetInUse(f"data set {name!r} is built in, and cannot be deleted")
        with self.files.locked():
            with self._database.session_scope() as session:
                # The row first: its lock waits for searches that are just being created, which hold it too.
                row = session.scalars(delete(Dataset).where(Dataset.name == name).returning(Dataset)).one_or_none()
                using = select(Search.id).where(Search.dataset == name, Search.state.not_in(FINAL)).limit(1)
                if row is not None and (search_id := session.scalars(using).first()) is not None:
                    raise DatasetInUse(f"search {search_id} uses data set {name!r}; cancel it, or wait until it ends")
            if row is None:
                self.get(name)  # raises, naming those there are
            else:
                self._delete_sheets(entry_of(row))
            self.delete_unnamed()

    def sweep_files(self) -> None:
        """Delete what killed processes left."""
        self.files.delete_parts()
        with self.files.locked():
            self.delete_unnamed()

    def delete_unnamed(self) -> None:
        """Delete archives and manifests that no row names. Call it under the lock of the files."""
        named: set[str] = set()
        for entry in self.list():
            named |= {Path(entry.spec.location).name, Path(entry.spec.manifest).name}
        self.files.delete_but(named)

    def _delete_sheets(self, gone: DatasetEntry) -> None:
        if gone.spec.manifest and not any(entry.spec.fingerprint == gone.spec.fingerprint for entry in self.list()):
            self._artifacts.delete_folder(sheets_folder(gone.spec))

    def _add(
        self,
        spec: DatasetSpec,
        sha256: str | None,
        size_bytes: int | None,
        *,
        outdated: str | None = None,
        place: Callable[[], None] = lambda: None,
    ) -> Added:
        """`place` puts the file where the row says: just before the commit, so that no row names a missing file."""
        if spec.name in BUILTIN:
            raise DatasetExists(f"data set {spec.name!r} is built in; choose another name")
        try:
            with self._database.session_scope() as session:
                row = session.get(Dataset, spec.name, with_for_update=True)
                if row is not None and row.state != DatasetState.INVALID:
                    if row.sha256 != sha256 or (sha256 is None and row.spec["location"] != spec.location):
                        raise DatasetExists(_taken(entry_of(row)))
                    if outdated is None or row.spec["fingerprint"] != outdated:
                        place()
                        return Added(entry_of(row), created=False)
                row = Dataset() if row is None else row
                _fill(session, row, spec, sha256, size_bytes)
                session.add(row)
                session.flush()
                place()
        except IntegrityError:  # another one of this name, a moment earlier
            return self._add(spec, sha256, size_bytes, outdated=outdated, place=place)
        return Added(entry_of(row), created=True)


def sheets_folder(spec: DatasetSpec) -> str:
    """Where the contact sheets of a data set lie in the artifact store."""
    return f"datasets/{spec.fingerprint}"


def entry_of(row: Dataset) -> DatasetEntry:
    spec = DatasetSpec.from_json(row.spec)
    return DatasetEntry(spec, row.report, row.created_at, row.state, row.sha256, row.size_bytes, row.progress)


def _fill(session: Session, row: Dataset, spec: DatasetSpec, sha256: str | None, size_bytes: int | None) -> None:
    """A new data set in `row`, or in the place of an invalid or outdated one; ready if the same archive is."""
    twin = None
    if sha256 is not None:
        ready = Dataset.sha256 == sha256, Dataset.state == DatasetState.READY
        twin = session.scalars(select(Dataset).where(*ready).limit(1)).first()
    row.name = spec.name
    row.sha256, row.size_bytes = sha256, size_bytes
    # Whoever still checks what was here before must not write about this, not even after the name was deleted.
    row.fence = (row.fence or secrets.randbelow(1 << 30)) + 1
    row.owner = row.lease_until = row.progress = None
    row.crashes = 0
    row.created_at = now(session)
    if twin is not None:
        spec = replace(DatasetSpec.from_json(twin.spec), name=spec.name)
    row.spec = plain_json(spec.to_json())
    row.state = DatasetState.READY if twin is not None else DatasetState.CHECKING
    row.report = twin.report if twin is not None else None
    row.checked_at = row.created_at if twin is not None else None


def _unchecked(name: str, kind: str, path: Path) -> DatasetSpec:
    return DatasetSpec(name, kind, str(path), (), 0, 0, 0, "")


def _taken(known: DatasetEntry) -> str:
    place = "an upload" if known.sha256 else known.spec.location
    content = known.sha256 or known.spec.fingerprint
    return (
        f"data set {known.spec.name!r} is taken by {place} ({known.state}, {content or 'not checked yet'}): "
        "choose another name, or delete that one first"
    )
