"""An operating system process that runs under a lease: a search or a check.

The parent keeps the lease by beating, passes stop requests on to the process, and kills it when it stalls, ignores a
stop request, or when the lease can no longer be trusted. What a lease is in the database is left to a `LeaseKeeper`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from autonl_core.spec.progress import StopRequest
from store.db import UNAVAILABLE
from worker.memory import memory_kills
from worker.own_time import OwnTime
from worker.process import SupervisedProcess
from worker.watchdog import Watchdog

# Share of a lease without a successful beat after which the process is killed, well before another may take over.
SELF_FENCE_SHARE = 2 / 3

log = logging.getLogger(__name__)


class Cause(StrEnum):
    """Why watching a process ended."""

    EXITED = "exited"
    LEASE_LOST = "lease_lost"
    GRACE_OVER = "grace_over"  # it was asked to stop and did not exit in time
    STALLED = "stalled"  # it made no progress for too long
    ABANDONED = "abandoned"  # its parent has to stop and does not wait for it


@dataclass(frozen=True)
class ProcessEnd:
    """How a leased process ended.

    Args:
        returncode: its exit code; negative: the signal that ended it.
        stop_request: the last stop request passed on to it.
        memory_ran_out: the kernel killed a process of this control group for memory just as this one ended.
    """

    cause: Cause
    returncode: int
    stop_request: StopRequest | None
    memory_ran_out: bool


@dataclass(frozen=True)
class LeaseView:
    """What the database says about a lease.

    Args:
        progress: any value that changes whenever the process makes progress.
        stop_request: what to ask of the process now.
    """

    held: bool
    progress: object = None
    stop_request: StopRequest | None = None


LOST = LeaseView(held=False)


class LeaseKeeper(Protocol):
    """One kind of lease. Both methods may raise an error of `store.db.UNAVAILABLE`."""

    @property
    def name(self) -> str:
        """What the process does, for log lines: "search 1a2b"."""

    def look(self) -> LeaseView | None:
        """Read the lease between two beats; None if its row is read only when it beats."""

    def beat(self) -> LeaseView:
        """Extend the lease, unless it is lost."""


@dataclass(frozen=True)
class Pace:
    """How often a leased process is polled, and how much time it gets.

    Args:
        poll_s: time between two polls of the process and its lease.
        beat_s: time between two beats.
        lease_s: how long a lease lasts after a beat.
        stall_s: time without progress before the process is killed.
        stop_grace_s: time to save and exit after a stop request.
        exit_grace_s: time to exit after its lease has ended, as it does when the process closes its own row.
    """

    poll_s: float
    beat_s: float
    lease_s: float
    stall_s: float
    stop_grace_s: float
    exit_grace_s: float


class LeasedProcess:
    """Supervises one process until it is gone.

    All waits are measured in `OwnTime`: a supervisor that slept knows nothing of what its process did meanwhile.

    Args:
        claimed_at: when the lease was requested, in seconds of the monotonic clock; it cannot end earlier than
            `lease_s` after that.
        abandon: asked at every poll; once true, the process is killed without a grace period.
    """

    def __init__(
        self,
        process: SupervisedProcess,
        keeper: LeaseKeeper,
        pace: Pace,
        claimed_at: float,
        abandon: Callable[[], bool] = lambda: False,
    ) -> None:
        self._process = process
        self._keeper = keeper
        self._pace = pace
        self._abandon = abandon
        self._clock = OwnTime()
        self._stop_request: StopRequest | None = None
        self._requested_at = claimed_at
        self._progress: object = None
        self._progress_at = claimed_at
        self._next_beat_at = claimed_at + pace.beat_s
        self._watchdog = Watchdog(self._trusted_until(claimed_at), process.kill, self._clock)

    @property
    def lease_left_s(self) -> float:
        """How long the lease can still be trusted; negative once it cannot."""
        return self._watchdog.left_s

    def watch(self) -> ProcessEnd:
        """Supervise the process to its end. Once this returns, nothing of its process group is left."""
        cause, kernel_kills = Cause.EXITED, memory_kills()
        try:
            while self._process.wait(self._pace.poll_s) is None:
                kernel_kills = memory_kills()  # counted at every poll, so that earlier kills are not blamed on the end
                if (reason_to_end := self._poll()) is not None:
                    cause = reason_to_end
                    break
        finally:
            returncode = self._process.reap()
            self._watchdog.stop()
        cause = Cause.LEASE_LOST if self._watchdog.expired else cause
        return ProcessEnd(cause, returncode, self._stop_request, memory_kills() > kernel_kills)

    def _poll(self) -> Cause | None:
        """Read or extend the lease and act on it; the cause if the process has to end now."""
        if self._abandon():
            return Cause.ABANDONED
        moment = self._clock.read()
        try:
            view = self._beat(moment) if moment >= self._next_beat_at else self._keeper.look()
        except UNAVAILABLE as error:
            left_s = self._watchdog.left_s
            log.warning("%s: no beat, database unavailable, %.0f s left: %s", self._keeper.name, left_s, error)
            return None
        if view is None:
            return None
        if not view.held:
            return Cause.LEASE_LOST if self._process.wait(self._pace.exit_grace_s) is None else Cause.EXITED
        if view.progress != self._progress or self._process.stopped:  # it cannot, and will go on where it was
            self._progress, self._progress_at = view.progress, moment
        if view.stop_request is not None:
            self._pass_on(view.stop_request, moment)
        return self._overdue(moment)

    def _beat(self, moment: float) -> LeaseView:
        view = self._keeper.beat()
        if view.held:
            self._watchdog.renew(self._trusted_until(moment))
            self._next_beat_at = moment + self._pace.beat_s
        return view

    def _pass_on(self, request: StopRequest, moment: float) -> None:
        if self._stop_request is None:
            self._requested_at = moment
        elif request == self._stop_request or self._stop_request != "drain":
            return  # already passed on; and a drain never replaces what the user asked for
        self._stop_request = request
        self._process.request_stop(request)

    def _overdue(self, moment: float) -> Cause | None:
        if self._stop_request is not None:
            return Cause.GRACE_OVER if moment - self._requested_at > self._pace.stop_grace_s else None
        return Cause.STALLED if moment - self._progress_at > self._pace.stall_s else None

    def _trusted_until(self, beat_at: float) -> float:
        return beat_at + self._pace.lease_s * SELF_FENCE_SHARE
