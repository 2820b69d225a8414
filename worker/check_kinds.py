"""What a checker checks: for each kind, where its rows and files are, and the program that checks one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.checks import CheckStore
from store.stores import Stores
from worker.process import DATASET_CHECK_COMMAND, WEIGHT_CHECK_COMMAND


@dataclass(frozen=True)
class CheckKind:
    """One kind of check.

    Args:
        checks: claims of these checks, and how they end.
        folder: where uploads are, and what their checks write meanwhile.
        command: the command of a check process; the lease is appended as arguments.
    """

    checks: CheckStore[Any]
    folder: Path
    command: Sequence[str]

    @property
    def noun(self) -> str:
        return self.checks.noun


def dataset_checks(stores: Stores, command: Sequence[str] = DATASET_CHECK_COMMAND) -> CheckKind:
    """Checks of datasets."""
    return CheckKind(stores.checks, stores.settings.datasets_dir, command)


def weight_checks(stores: Stores, command: Sequence[str] = WEIGHT_CHECK_COMMAND) -> CheckKind:
    """Checks of uploaded weights."""
    return CheckKind(stores.weight_checks, stores.settings.weights_dir, command)
