"""What a search will take, by what earlier searches of the same tenant took for their work."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import OtherVersion
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.search_work import SearchKind, kind_of, requested_searches, requested_work, search_work
from store.db import Database
from store.models import Attempt, Search
from store.states import SearchState

_READ = 100  # searches, the newest that succeeded
_COMPARED = 20  # of the same kind
_NEAR = 4.0  # times more or less work: others say less of a search
_WIDER = 0.2  # than what several searches took, on either side
_OF_ONE = 2.0  # what a single one took may be as many times too high or too low
# What a search takes besides its work, to start, to convert, verify and store its files (benchmarks/estimates.py), and
# the largest share that this has: on a quicker machine, or with fewer files, it is less.
_BESIDES_S = 25.0
_MOST_BESIDES = 0.75


@dataclass(frozen=True)
class ComputeEstimate:
    """CPU seconds, from `low` to `high`, by what `searches` earlier ones took."""

    low: float
    high: float
    searches: int


@dataclass(frozen=True)
class Took:
    """CPU seconds that a search took for its work in image-MACs."""

    compute_s: float
    work: float

    def predict(self, work: float, searches: int) -> float:
        """CPU seconds that so many searches with this work in all would have taken instead."""
        besides_s = min(_BESIDES_S, _MOST_BESIDES * self.compute_s)
        return searches * besides_s + (self.compute_s - besides_s) * work / self.work


def estimate_from(known: Sequence[Took], work: float, searches: int) -> ComputeEstimate:
    """What searches take, by one or more earlier ones: those whose work is near, else the nearest."""
    distances = [abs(math.log(each.work * searches / work)) for each in known]
    near = [each for each, distance in zip(known, distances, strict=True) if distance <= math.log(_NEAR)]
    near = near or [known[distances.index(min(distances))]]
    predicted = [each.predict(work, searches) for each in near]
    low, high = (1 / _OF_ONE, _OF_ONE) if len(near) == 1 else (1 - _WIDER, 1 + _WIDER)
    return ComputeEstimate(round(low * min(predicted), 1), round(high * max(predicted), 1), len(near))


class ComputeEstimateStore:
    """Estimates of the compute of searches, from those of the tenant that the database is bound to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def estimate(self, config: SearchConfig, dataset: DatasetSpec) -> ComputeEstimate | str:
        """What everything takes that a request for a settled search starts; or in words why that is unknown."""
        kind = kind_of(config, dataset)
        known = list(self._took(kind))
        if not known:
            return (
                f"no search {kind} has succeeded of late whose compute was counted; the first one shows what it takes"
            )
        return estimate_from(known, requested_work(config, dataset), requested_searches(config))

    def _took(self, kind: SearchKind) -> Iterator[Took]:
        """What each of the newest searches of a kind took."""
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
                yield Took(row.compute_s, search_work(config, dataset))
                compared += 1
            if compared == _COMPARED:
                return
