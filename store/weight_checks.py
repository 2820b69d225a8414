"""Weight checks: what a check leaves in the row of a weight set. Claims and leases are in `store/checks.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from autonl_core.spec.weight_set import WeightProblem, WeightSet
from store.checks import CheckLease, CheckStore
from store.db import Database
from store.json_values import plain_json
from store.models import WeightSetRow
from store.settings import Settings
from store.states import WeightSetState
from store.weight_sets import WeightSetEntry, entry_of


class WeightCheckStore(CheckStore[WeightSetRow]):
    """Claims of weight checks, and how they end."""

    noun = "weight set"

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(database, settings, WeightSetRow)

    def entry(self, lease: CheckLease) -> WeightSetEntry:
        """The weight set to check. Raises LeaseLost."""
        return entry_of(self._row(lease))

    def accept(self, lease: CheckLease, weights: WeightSet) -> None:
        """Close the check: the weight set is ready. Raises LeaseLost."""
        self._close(lease, {"state": WeightSetState.READY, "weights": plain_json(weights.to_json())})

    def refuse(self, lease: CheckLease, problems: Sequence[WeightProblem]) -> None:
        """Close the check: the weights cannot be used. Raises LeaseLost."""
        self._close(lease, _refused(problems))

    def _given_up(self, detail: str) -> dict[str, Any]:
        return _refused([WeightProblem("check_failed", detail)])


def _refused(problems: Sequence[WeightProblem]) -> dict[str, Any]:
    return {"state": WeightSetState.REFUSED, "problems": plain_json([asdict(problem) for problem in problems])}
