"""The datasets that searches can use: the built-in ones, and those registered in the database.

A dataset is added in the state `checking`, which makes its row the job of a checker (`store/dataset_checks.py`). An
archive whose content was checked before, under whatever name, is ready at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.datasets.check_report import CHECK_VERSION, DatasetReport
from autonl_core.datasets.corrections import CORRECTED
from autonl_core.datasets.layouts.grammar import AUTO
from autonl_core.datasets.sources import UPLOAD_SOURCE
from autonl_core.datasets.spec import BUILTIN, DatasetSpec, DuplicatesRule
from store.artifacts import ArtifactStore, delete_or_leave
from store.checks import start_check
from store.conditions import is_unfinished
from store.dataset_files import DatasetFiles
from store.db import Database
from store.errors import DatasetExists, DatasetInUse, NotFound
from store.json_values import plain_json, plain_text
from store.models import Dataset, Search
from store.page_tokens import make_token, read_token
from store.quotas import admit_bytes
from store.settings import Settings
from store.states import DatasetState
from store.tenant_rows import DEFAULT_TENANT
from store.upload_folder import Upload, folder_of

Place = Path | BucketLocation
_LISTING = "datasets"  # in page tokens
_SHOWN_NAMES = 20  # in the error about an unknown dataset


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset. Built-in ones have no `created_at` and no `report`; the counts of one that is not ready are zero."""

    spec: DatasetSpec
    report: DatasetReport | None = None
    created_at: datetime | None = None
    state: DatasetState = DatasetState.READY
    sha256: str | None = None
    size_bytes: int | None = None
    progress: float | None = None
    tenant_id: str = DEFAULT_TENANT


@dataclass(frozen=True)
class Added:
    """The result of adding a dataset; `created` is False if it was already registered."""

    entry: DatasetEntry
    created: bool


class ReadAs(NamedTuple):
    """How the files of a dataset are to be read."""

    layout: str = AUTO
    duplicates: DuplicatesRule = "leave-out"
    corrected: bool = False  # by a person, after the check

    @staticmethod
    def of(entry: DatasetEntry) -> ReadAs:
        corrected = entry.report is not None and any(one.code == CORRECTED for one in entry.report.problems)
        return ReadAs(entry.spec.layout, entry.spec.duplicates, corrected)


AS_FOUND = ReadAs()


class DatasetStore:
    """Registered datasets, and the built-in ones."""

    def __init__(self, database: Database, files: DatasetFiles, artifacts: ArtifactStore, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._artifacts = artifacts
        self.files = files

    def add_path(
        self, name: str, kind: str, path: Place, *, outdated: str | None = None, reading: ReadAs = AS_FOUND
    ) -> Added:
        """Register the dataset at `path`, to be checked. The check of one in a bucket finds out its `kind`.

        One that is already registered stays as it is, unless it is invalid or its fingerprint is `outdated`: then it is
        checked again.

        Raises:
            DatasetExists: the name is taken by a built-in dataset, or by another path.
        """
        return self._add(_unchecked(name, kind, str(path), reading), None, None, outdated=outdated)

    def add_upload(self, name: str, upload: Upload, reading: ReadAs = AS_FOUND) -> Added:
        """Register a complete upload under `name`, to be checked, or ready if it was checked before and read alike.

        Raises:
            DatasetExists: the name is taken by a built-in dataset, or by other content.
            QuotaExceeded: its tenant may not store as many bytes.
        """
        sha256 = upload.complete()
        path = self.files.archive(sha256)
        with self.files.locked():
            spec = _unchecked(name, UPLOAD_SOURCE, str(path), reading)
            return self._add(spec, sha256, upload.size_bytes, place_file=lambda: upload.rename(path))

    def read_again(self, name: str, reading: ReadAs) -> Added:
        """Check a dataset again, read in another way; its files stay where they are.

        Raises:
            NotFound: no such dataset.
            DatasetExists: it is built in, or it is ready or being checked and is read in another way.
        """
        entry = self.get(name)
        spec = _unchecked(name, entry.spec.kind, entry.spec.location, reading)
        return self._add(spec, entry.sha256, entry.size_bytes)

    def get(self, name: str) -> DatasetEntry:
        """The dataset of this name. Raises NotFound, listing the existing ones."""
        if name in BUILTIN:
            return DatasetEntry(BUILTIN[name])
        with self._database.read_scope() as session:
            row = session.scalars(select(Dataset).where(Dataset.name == name)).one_or_none()
        if row is None:
            known = ", ".join(entry.spec.name for entry in self.list()[:_SHOWN_NAMES])
            raise NotFound(f"no dataset {name!r}; the existing ones are: {known}")
        return entry_of(row)

    def list(self) -> list[DatasetEntry]:
        """The built-in datasets, then the registered ones by name."""
        with self._database.read_scope() as session:
            rows = session.scalars(select(Dataset).order_by(Dataset.name)).all()
        return [DatasetEntry(spec) for spec in BUILTIN.values()] + [entry_of(row) for row in rows]

    def page(self, page_size: int, page_token: str | None = None) -> tuple[Sequence[DatasetEntry], str | None]:
        """The same without reports, a page at a time, and the token of the next one. Raises PageTokenError."""
        query = select(Dataset).options(defer(Dataset.report)).order_by(Dataset.name).limit(page_size + 1)
        built_in = [DatasetEntry(spec) for spec in BUILTIN.values()]
        if page_token is not None:
            (last,) = read_token(page_token, _LISTING, parts=1)
            query, built_in = query.where(Dataset.name > plain_text(last)), []
        with self._database.read_scope() as session:
            rows = session.scalars(query).all()
        page = rows[:page_size]
        has_more = len(rows) > page_size
        entries = [*built_in, *(entry_of(row, with_report=False) for row in page)]
        return entries, make_token(_LISTING, page[-1].name) if has_more else None

    def delete(self, name: str, *, if_refused: bool = False) -> None:
        """Delete a dataset, and its files unless another dataset has the same content.

        Args:
            if_refused: delete nothing unless its check refused it.

        Raises:
            NotFound: no such dataset.
            DatasetInUse: it is built in, or used by a search that is not final.
        """
        if name in BUILTIN:
            raise DatasetInUse(f"dataset {name!r} is built in and cannot be deleted")
        with self.files.locked():
            with self._database.session_scope() as session:
                # The row first: its lock waits for searches that are being created, which hold a lock on it too.
                wanted = [Dataset.name == name, *([Dataset.state == DatasetState.INVALID] if if_refused else [])]
                row = session.scalars(delete(Dataset).where(*wanted).returning(Dataset)).one_or_none()
                using = select(Search.id).where(Search.dataset == name, is_unfinished()).limit(1)
                if row is not None and (search_id := session.scalars(using).first()) is not None:
                    raise DatasetInUse(
                        f"dataset {name!r} is used by search {search_id}; cancel the search, or wait until it ends"
                    )
            if row is None:
                self.get(name)  # raises NotFound, listing the existing ones
            else:
                self._delete_sheets(entry_of(row))
            self.delete_unnamed()

    def sweep_files(self) -> None:
        """Delete files that killed processes left behind."""
        self.files.delete_parts()
        with self.files.locked():
            self.delete_unnamed()

    def delete_unnamed(self) -> None:
        """Delete archives and manifests that no row names. Call it under the lock of the files."""
        named = {Path(file).name for entry in self.list() for file in (entry.spec.location, entry.spec.manifest)}
        self.files.delete_except(named)

    def _delete_sheets(self, deleted: DatasetEntry) -> None:
        fingerprint = deleted.spec.fingerprint
        if deleted.spec.manifest and not any(entry.spec.fingerprint == fingerprint for entry in self.list()):
            delete_or_leave(self._artifacts, sheets_folder(deleted.spec, deleted.tenant_id))

    def _exists(self, name: str) -> bool:
        with self._database.read_scope() as session:
            return session.scalar(select(exists().where(Dataset.name == name))) or False

    def _add(
        self,
        spec: DatasetSpec,
        sha256: str | None,
        size_bytes: int | None,
        *,
        outdated: str | None = None,
        place_file: Callable[[], None] = lambda: None,
    ) -> Added:
        """`place_file` moves the file to its location just before the commit, so that no row names a missing file."""
        if spec.name in BUILTIN:
            raise DatasetExists(f"dataset {spec.name!r} is built in; choose another name")
        try:
            with self._database.session_scope() as session:
                query = select(Dataset).where(Dataset.name == spec.name).with_for_update()
                row = session.scalars(query).one_or_none()
                if row is not None and row.state != DatasetState.INVALID:
                    if row.sha256 != sha256 or (sha256 is None and row.spec["location"] != spec.location):
                        raise DatasetExists(_taken(entry_of(row)))
                    if ReadAs.of(entry_of(row)) != ReadAs.of(DatasetEntry(spec)):
                        raise DatasetExists(_read_otherwise(entry_of(row)))
                    if outdated is None or row.spec["fingerprint"] != outdated:
                        place_file()
                        return Added(entry_of(row), created=False)
                admit_bytes(session, self._settings, size_bytes, row.size_bytes if row is not None else None)
                row = Dataset() if row is None else row
                _fill(session, row, spec, sha256, size_bytes)
                session.add(row)
                session.flush()
                place_file()
        except IntegrityError:  # another process added a dataset of this name in the meantime
            if not self._exists(spec.name):
                raise  # the tenant was deleted
            return self._add(spec, sha256, size_bytes, outdated=outdated, place_file=place_file)
        return Added(entry_of(row), created=True)


def sheets_folder(spec: DatasetSpec, tenant_id: str = DEFAULT_TENANT) -> str:
    """The folder of a dataset's contact sheets in the artifact store."""
    return str(folder_of(PurePosixPath(), tenant_id) / "datasets" / spec.fingerprint)


def entry_of(row: Dataset, *, with_report: bool = True) -> DatasetEntry:
    spec = DatasetSpec.from_json(row.spec)
    report = DatasetReport.from_json(row.report) if with_report and row.report is not None else None
    return DatasetEntry(
        spec, report, row.created_at, row.state, row.sha256, row.size_bytes, row.progress, row.tenant_id
    )


def _fill(session: Session, row: Dataset, spec: DatasetSpec, sha256: str | None, size_bytes: int | None) -> None:
    """Put a new dataset into `row`, which may hold an invalid or outdated one.

    It is ready at once if the same archive, read in the same way, was checked by the check of this version.
    """
    twin = None
    if sha256 is not None:
        ready = Dataset.sha256 == sha256, Dataset.state == DatasetState.READY
        twins = session.scalars(select(Dataset).where(*ready))
        twin = next((row for row in twins if _is_twin(entry_of(row), ReadAs.of(DatasetEntry(spec)))), None)
    row.name, row.sha256, row.size_bytes = spec.name, sha256, size_bytes
    start_check(session, row)
    if twin is not None:
        spec = replace(DatasetSpec.from_json(twin.spec), name=spec.name)
    row.spec = plain_json(spec.to_json())
    row.state = DatasetState.READY if twin is not None else DatasetState.CHECKING
    row.report = twin.report if twin is not None else None
    row.checked_at = row.created_at if twin is not None else None


def _is_twin(other: DatasetEntry, reading: ReadAs) -> bool:
    """Whether a check of the same content, to be read as `reading`, would find what it found for `other`."""
    return other.report is not None and other.report.check_version == CHECK_VERSION and ReadAs.of(other) == reading


def _unchecked(name: str, kind: str, location: str, reading: ReadAs) -> DatasetSpec:
    return DatasetSpec(name, kind, location, (), 0, 0, 0, "", layout=reading.layout, duplicates=reading.duplicates)


def _read_otherwise(registered: DatasetEntry) -> str:
    spec, corrected = registered.spec, ", corrected" if ReadAs.of(registered).corrected else ""
    return (
        f"dataset {spec.name!r} is {registered.state}{corrected}, with layout={spec.layout} and "
        f"duplicates={spec.duplicates}; to read it in another way, choose another name and add it again"
    )


def _taken(registered: DatasetEntry) -> str:
    origin = "an upload" if registered.sha256 else registered.spec.location
    return (
        f"dataset {registered.spec.name!r} is already registered from {origin} ({registered.state}, other content); "
        "choose another name, or delete that dataset first"
    )
