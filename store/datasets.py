"""The data sets that searches can name: the built-in ones, and those registered in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from autonl_core.datasets import BUILTIN, DatasetSpec
from store.db import Database, now
from store.errors import DatasetExists, NotFound
from store.models import Dataset
from store.plain import plain_json


@dataclass(frozen=True)
class DatasetEntry:
    """A data set that can be searched on. Built-in ones have no `created_at` and no `report`."""

    spec: DatasetSpec
    report: Mapping[str, Any] | None = None
    created_at: datetime | None = None


class DatasetStore:
    """Registered data sets; the built-in ones are always there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, spec: DatasetSpec, report: Mapping[str, Any] | None = None) -> DatasetEntry:
        """Register `spec`. Adding the very same data set again changes nothing.

        Raises:
            DatasetExists: the name is taken by a built-in, or by other content.
        """
        if spec.name in BUILTIN:
            raise DatasetExists(f"data set {spec.name!r} is built in; choose another name")
        try:
            with self._database.session_scope() as session:
                row = Dataset(
                    name=spec.name,
                    spec=plain_json(spec.to_json()),
                    report=plain_json(report) if report is not None else None,
                    created_at=now(session),
                )
                session.add(row)
                session.flush()
        except IntegrityError:
            known = self.get(spec.name)
            if known.spec != spec:
                raise DatasetExists(
                    f"data set {spec.name!r} is taken by {known.spec.location} (fingerprint {known.spec.fingerprint}); "
                    f"{spec.location} has {spec.fingerprint}: choose another name"
                ) from None
            return known
        return _entry(row)

    def get(self, name: str) -> DatasetEntry:
        """The data set of this name. Raises NotFound, naming those there are."""
        if name in BUILTIN:
            return DatasetEntry(BUILTIN[name])
        with self._database.read_scope() as session:
            row = session.get(Dataset, name)
        if row is None:
            known = ", ".join(entry.spec.name for entry in self.list()[:20])
            raise NotFound(f"no data set {name!r}; there are: {known}")
        return _entry(row)

    def list(self) -> list[DatasetEntry]:
        """The built-in data sets, then the registered ones by name."""
        with self._database.read_scope() as session:
            rows = session.scalars(select(Dataset).order_by(Dataset.name)).all()
        return [DatasetEntry(spec) for spec in BUILTIN.values()] + [_entry(row) for row in rows]


def _entry(row: Dataset) -> DatasetEntry:
    return DatasetEntry(DatasetSpec.from_json(row.spec), row.report, row.created_at)
