"""One attempt while it runs: keep the lease, pass on requests to stop, notice when the process has to go."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from autonl_core.spec.progress import StopRequest
from store.claims import LeaseStatus
from store.db import UNAVAILABLE
from store.leases import Lease
from store.stores import Stores
from worker.memory import memory_kills
from worker.process import ChildProcess, Fuse

SELF_FENCE_SHARE = 2 / 3  # of a lease without a successful beat: then we stop, well before anybody else may start
LEAVE_S = 5.0  # for a process that closed its search, to leave by itself

log = logging.getLogger(__name__)


class Cause(StrEnum):
    """Why watching ended."""

    EXITED = "exited"
    LEASE_LOST = "lease_lost"
    GRACE_OVER = "grace_over"  # asked to stop, it did not in time
    STALLED = "stalled"


@dataclass(frozen=True)
class End:
    """How an attempt ended: why watching ended, the exit code, and what the process had been asked."""

    cause: Cause
    returncode: int
    asked: StopRequest | None
    memory_ran_out: bool  # the kernel ended a process of this worker for memory, just when this one ended


class Attempt:
    """Watches the process of one attempt until it is gone. `draining` says whether the worker has to stop."""

    def __init__(
        self, stores: Stores, lease: Lease, process: ChildProcess, draining: Callable[[], bool], claimed: float
    ) -> None:
        self._claims = stores.claims
        self._settings = stores.settings
        self._lease = lease
        self._process = process
        self._draining = draining
        self._asked: StopRequest | None = None
        self._asked_at = claimed
        self._last_progress: datetime | None = None
        self._moved_at = claimed
        self._next_beat = claimed + self._settings.beat_s
        self._fuse = Fuse(claimed + self._settings.lease_s * SELF_FENCE_SHARE, process.kill)

    @property
    def lease_left_s(self) -> float:
        """How long we may still count on the lease; negative when it is too late."""
        return self._fuse.left_s

    def watch(self) -> End:
        """Watch to the end; when this returns, no process of the attempt is left."""
        cause, kernel_kills = Cause.EXITED, memory_kills()
        try:
            while self._process.wait(self._settings.poll_s) is None:
                kernel_kills = memory_kills()  # anew at every look: what the kernel did before then was not this
                if (found := self._look()) is not None:
                    cause = found
                    break
        finally:
            returncode = self._process.reap()
            self._fuse.remove()
        cause = Cause.LEASE_LOST if self._fuse.blown else cause
        return End(cause, returncode, self._asked, memory_kills() > kernel_kills)

    def _look(self) -> Cause | None:
        """Look once at the row, the worker and the clock; the reason if the process has to go."""
        began = time.monotonic()
        try:
            standing, progress_at = self._claims.status(self._lease)
            if began >= self._next_beat:
                standing = self._beat(began)
        except UNAVAILABLE as error:
            log.warning("search %s: no beat, %.0f s left: %s", self._lease.search_id, self._fuse.left_s, error)
            return None
        if standing == LeaseStatus.LOST:
            return Cause.LEASE_LOST if self._process.wait(LEAVE_S) is None else Cause.EXITED
        if progress_at != self._last_progress:
            self._last_progress, self._moved_at = progress_at, began
        if standing == LeaseStatus.CANCEL_WANTED:
            self._ask("cancel", began)
        elif standing == LeaseStatus.PAUSE_WANTED:
            self._ask("pause", began)
        elif self._draining():
            self._ask("drain", began)
        return self._overdue(began)

    def _beat(self, began: float) -> LeaseStatus:
        standing = self._claims.beat(self._lease)
        if standing != LeaseStatus.LOST:
            self._fuse.renew(began + self._settings.lease_s * SELF_FENCE_SHARE)
            self._next_beat = began + self._settings.beat_s
        return standing

    def _ask(self, request: StopRequest, moment: float) -> None:
        if self._asked is None:
            self._asked_at = moment
        elif self._asked == request or self._asked != "drain":
            return  # a wish of the user's, told already, is worth more than that the worker stops
        self._asked = request
        self._process.tell(request)

    def _overdue(self, moment: float) -> Cause | None:
        if self._asked is not None:
            return Cause.GRACE_OVER if moment - self._asked_at > self._settings.stop_grace_s else None
        return Cause.STALLED if moment - self._moved_at > self._settings.stall_s else None
