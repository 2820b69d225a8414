"""When a call that failed is tried again, and when trying ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import SystemRandom

FIRST_WAIT_S = 5.0
FACTOR = 3.0
LONGEST_WAIT_S = 8 * 3600.0
GIVE_UP_S = 3 * 86_400.0  # after the first try
JITTER = 0.2  # of a wait, either way: receivers that come back are not called by all at once
ORDERED_TRIES = 5  # an event that failed as often no longer holds back later ones of its search: about ten minutes
GONE = 410
_OF_THE_MESSAGE = range(400, 500)
_OF_THE_ENDPOINT = frozenset((401, 403, 404, 408, 425, 429))  # of these: another message would fail as well


@dataclass(frozen=True)
class CallResult:
    """What a receiver answered, or why there is no answer.

    Args:
        status: of the response; None if there was none.
        problem: why the call failed; None if it succeeded.
        excerpt: the beginning of the response body.
    """

    status: int | None
    problem: str | None
    excerpt: str
    duration_s: float

    @property
    def succeeded(self) -> bool:
        return self.problem is None

    @property
    def concerns_endpoint(self) -> bool:
        """Whether any other message would have failed as well, as far as one can tell."""
        return self.status not in _OF_THE_MESSAGE or self.status in _OF_THE_ENDPOINT


def even(low: float, high: float) -> float:
    """A random number between two others."""
    return SystemRandom().uniform(low, high)


def wait_s(tries: int, draw: Callable[[float, float], float] = even) -> float:
    """Seconds from the failed try number `tries`, 1 or more, to the next one."""
    longest = min(FIRST_WAIT_S * FACTOR ** min(tries - 1, 16), LONGEST_WAIT_S)
    return longest * draw(1 - JITTER, 1 + JITTER)


def next_try(
    first_tried_at: datetime, now: datetime, tries: int, draw: Callable[[float, float], float] = even
) -> datetime | None:
    """When to try again after `tries` failures, the last one `now`; None: it is given up."""
    moment = now + timedelta(seconds=wait_s(tries, draw))
    return moment if moment <= first_tried_at + timedelta(seconds=GIVE_UP_S) else None
