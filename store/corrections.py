"""Corrected datasets: another row for the same files, whose manifest leaves images out or gives them another class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from autonl_core.datasets.corrections import Correction, correct, corrected_report
from autonl_core.datasets.manifest import Manifest, Row, manifest_fingerprint, read_manifest, write_manifest
from autonl_core.datasets.spec import BUILTIN, DatasetSpec
from autonl_core.errors import DatasetError
from store.checks import start_check
from store.datasets import Added, DatasetEntry, DatasetStore, entry_of
from store.db import Database
from store.errors import DatasetExists
from store.json_values import plain_json
from store.models import Dataset
from store.quotas import admit_bytes
from store.settings import Settings
from store.states import DatasetState


class CorrectionStore:
    """Makes corrected datasets, which are ready at once: their images were checked."""

    def __init__(self, database: Database, datasets: DatasetStore, settings: Settings) -> None:
        self._database, self._datasets, self._settings = database, datasets, settings

    def add(self, source: str, name: str, correction: Correction) -> Added:
        """Add the dataset `name`, which is `source` with a correction.

        Raises:
            NotFound: no dataset `source`.
            DatasetExists: `name` is that of another dataset.
            DatasetError: `source` is not ready or built in, or the correction does not fit it.
            QuotaExceeded: its tenant may not store as many bytes, which count once for every dataset.
        """
        with self._datasets.files.locked():  # so that the files of `source` are not deleted meanwhile
            entry = self._datasets.get(source)
            manifest = _manifest_of(entry)
            rows = correct(manifest, correction)
            if name in BUILTIN:
                raise DatasetExists(f"dataset {name!r} is built in; choose another name")
            spec = self._write(entry.spec, name, manifest, rows)
            report = corrected_report(entry.report, source, spec.classes, rows, correction) if entry.report else None
            made = replace(entry, spec=spec, report=report)
            try:
                return self._insert(made)
            except IntegrityError:  # another process added a dataset of this name in the meantime
                return self._insert(made)

    def _write(self, source: DatasetSpec, name: str, manifest: Manifest, rows: list[Row]) -> DatasetSpec:
        label_files = manifest.label_files or ()
        path = write_manifest(self._datasets.files.folder, manifest.content, manifest.classes, rows, label_files)
        train = sum(split == "train" for split, *_ in rows)
        return replace(
            source,
            name=name,
            manifest=str(path),
            fingerprint=manifest_fingerprint(path),
            train_images=train,
            test_images=len(rows) - train,
        )

    def _insert(self, made: DatasetEntry) -> Added:
        """The row of a corrected dataset, or the one that has its name already."""
        spec = made.spec
        with self._database.session_scope() as session:
            row = session.scalars(select(Dataset).where(Dataset.name == spec.name).with_for_update()).one_or_none()
            if row is not None:
                if entry_of(row).spec != spec:
                    raise DatasetExists(
                        f"dataset {spec.name!r} is already registered, with other images or labels; choose another name"
                    )
                return Added(entry_of(row), created=False)
            admit_bytes(session, self._settings, made.size_bytes, None)
            row = Dataset(name=spec.name, sha256=made.sha256, size_bytes=made.size_bytes, state=DatasetState.READY)
            start_check(session, row)
            row.spec = plain_json(spec.to_json())
            row.report = plain_json(made.report.to_json()) if made.report is not None else None
            row.checked_at = row.created_at
            session.add(row)
            session.flush()
        return Added(entry_of(row), created=True)


def _manifest_of(entry: DatasetEntry) -> Manifest:
    """The manifest of a dataset that can be corrected. Raises DatasetError if it cannot."""
    spec = entry.spec
    if spec.is_builtin:
        raise DatasetError(f"dataset {spec.name!r} is built in and cannot be corrected; add one of your own")
    if entry.state != DatasetState.READY:
        raise DatasetError(f"dataset {spec.name!r} is {entry.state}; only a ready one can be corrected")
    manifest = read_manifest(Path(spec.manifest), spec.fingerprint)
    if manifest.label_files is None:
        raise DatasetError(f"dataset {spec.name!r} was checked by an earlier version; add it again under another name")
    return manifest
