"""The turn of a check: how long it may keep others waiting."""

from __future__ import annotations

import time
from collections.abc import Callable

from store.db import UNAVAILABLE

LOOK_S = 1.0
_MAX_DOUBLINGS = 16


class Turn:
    """The time of one check, which ends only if others wait: such that no free checker takes within `LOOK_S`.

    Every turn of a check lasts twice as long as the one before it: what cannot be saved in one is done in a later one.

    Args:
        first_s: how long the first turn of a check lasts.
        number: how many turns this check had before.
        any_waits: asks the database; may raise an error of `store.db.UNAVAILABLE`.
    """

    def __init__(self, first_s: float, number: int, any_waits: Callable[[], bool]) -> None:
        self.length_s = first_s * 2 ** min(number, _MAX_DOUBLINGS)
        self._any_waits = any_waits
        self._look_at = time.monotonic() + self.length_s
        self._waited = False

    def is_over(self) -> bool:
        """Whether the check has to make way."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_S
        try:
            waited, self._waited = self._waited, self._any_waits()
        except UNAVAILABLE:  # then nothing else can begin either
            return False
        return waited and self._waited
