"""What a search will take, by what earlier searches of the same tenant took for their work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import OtherVersion
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.search_work import SearchKind, kind_of, requested_work, search_work
from store.db import Database
from store.models import Attempt, Search
from store.states import SearchState

_READ = 100  # searches, the newest that succeeded
_COMPARED = 20  # of the same kind
_WIDER = 0.2  # than what several searches took, on either side
_OF_ONE = 2.0  # what a single one took may be as many times too high or too low


@dataclass(frozen=True)
class ComputeEstimate:
    """CPU seconds, from `low` to `high`, by what `searches` earlier ones took."""

    low: float
    high: float
    searches: int


class ComputeEstimateStore:
    """Estimates of the compute of searches, from those of the tenant that the database is bound to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def estimate(self, config: SearchConfig, dataset: DatasetSpec) -> ComputeEstimate | str:
        """What everything takes that a request for a settled search starts; or in words why that is unknown."""
        kind = kind_of(config, dataset)
        found = list(self._compute_per_work(kind))
        if not found:
            return (
                f"no search {kind} has succeeded of late whose compute was counted; the first one shows what it takes"
            )
        low, high = (1 / _OF_ONE, _OF_ONE) if len(found) == 1 else (1 - _WIDER, 1 + _WIDER)
        work = requested_work(config, dataset)
        return ComputeEstimate(round(low * min(found) * work, 1), round(high * max(found) * work, 1), len(found))

    def _compute_per_work(self, kind: SearchKind) -> Iterator[float]:
        """CPU seconds for an image-MAC in each of the newest searches of a kind."""
        compute = select(func.sum(Attempt.compute_s)).where(Attempt.search_id == Search.id).scalar_subquery()
        query = select(Search.config, Search.dataset_spec, compute.label("compute_s"))
        newest = query.where(Search.state == SearchState.SUCCEEDED).order_by(Search.created_at.desc(), Search.id.desc())
        with self._database.read_scope() as session:
            rows = session.execute(newest.limit(_READ)).all()
        compared = 0
        for row in rows:
            if not row.compute_s or row.config["algorithm"] != kind.algorithm:
                continue
            try:
                config, dataset = SearchConfig.stored(row.config), DatasetSpec.from_json(row.dataset_spec)
            except OtherVersion:  # its settings mean something that this version cannot compare
                continue
            if kind_of(config, dataset) == kind:
                yield row.compute_s / search_work(config, dataset)
                compared += 1
            if compared == _COMPARED:
                return
