"""Dataset checks: what a check leaves in the row of a dataset. Claims and leases are in `store/checks.py`."""

from __future__ import annotations

from typing import Any

from autonl_core.datasets.check_report import DatasetReport, failed_report
from autonl_core.datasets.spec import DatasetSpec
from store.checks import CheckLease, CheckStore
from store.datasets import DatasetEntry, entry_of
from store.db import Database
from store.json_values import plain_json
from store.models import Dataset
from store.settings import Settings
from store.states import DatasetState


class DatasetCheckStore(CheckStore[Dataset]):
    """Claims of dataset checks, and how they end."""

    noun = "dataset"

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(database, settings, Dataset)

    def entry(self, lease: CheckLease) -> DatasetEntry:
        """The dataset to check. Raises LeaseLost."""
        return entry_of(self._row(lease))

    def finish(self, lease: CheckLease, spec: DatasetSpec | None, report: DatasetReport) -> None:
        """Close the check: the dataset is ready if there is a `spec`, otherwise invalid. Raises LeaseLost."""
        if spec is None:
            self._close(lease, _invalid(report))
        else:
            values = {"state": DatasetState.READY, "report": plain_json(report.to_json())}
            self._close(lease, values | {"spec": plain_json(spec.to_json())})

    def _given_up(self, detail: str) -> dict[str, Any]:
        return _invalid(failed_report("check_failed", detail))


def _invalid(report: DatasetReport) -> dict[str, Any]:
    return {"state": DatasetState.INVALID, "report": plain_json(report.to_json())}
