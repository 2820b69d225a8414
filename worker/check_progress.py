"""How far a check is, written by its process."""

from __future__ import annotations

import time
from typing import Any

from store.checks import CheckLease, CheckStore
from worker.retry import retry_while_unavailable

_INTERVAL_S = 1.0


class ProgressWriter:
    """Stores how far the check is, 0 to 1, about once a second. Raises LeaseLost."""

    def __init__(self, checks: CheckStore[Any], lease: CheckLease) -> None:
        self._checks = checks
        self._lease = lease
        self._written_at = 0.0

    def __call__(self, fraction: float) -> None:
        if time.monotonic() - self._written_at >= _INTERVAL_S:
            self._written_at = time.monotonic()
            retry_while_unavailable(lambda: self._checks.beat(self._lease, fraction))
