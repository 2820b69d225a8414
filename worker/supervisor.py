"""Runs searches: claim one, start its process, watch it, settle how it ended; then the next.

Knows nothing of Celery and loads no tensor code. The rows decide everything: a supervisor that dies, or loses its
lease, leaves a search that another one can take over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from store.db import UNAVAILABLE
from store.errors import LeaseLost, NotFound
from store.leases import Lease
from store.states import ExitClass, SearchState
from store.stores import Stores
from worker.attempt import Attempt, Cause, End
from worker.exit_codes import ExitCode, crash_class, crash_of
from worker.process import CHILD_COMMAND, ChildProcess
from worker.workspace import Workspace

log = logging.getLogger(__name__)


class Supervisor:
    """Runs one search at a time, for as long as any is queued.

    Args:
        owner: who holds the claims, for people who read the rows; unique per worker slot.
        draining: asked again and again; once true, a running search is saved and given back.
        command: the program of a search's process; it gets the search id and the fence as arguments.
    """

    def __init__(
        self,
        stores: Stores,
        owner: str,
        *,
        draining: Callable[[], bool] = lambda: False,
        command: Sequence[str] = CHILD_COMMAND,
    ) -> None:
        self._stores = stores
        self._settings = stores.settings
        self._owner = owner
        self._draining = draining
        self._command = command

    def run_until_idle(self) -> int:
        """Run searches until none is due, the database is away, or the worker drains. Returns how many attempts."""
        attempts = 0
        while not self._draining():
            claimed = time.monotonic()
            try:
                lease = self._stores.claims.claim(self._owner)
            except UNAVAILABLE as error:
                log.warning("no claim, the database does not answer: %s", error)
                break
            if lease is None:
                break
            self._run(lease, claimed)
            attempts += 1
        return attempts

    def _run(self, lease: Lease, claimed: float) -> None:
        """Run the attempt that `lease` stands for, to its end. `claimed` is when we asked for it, monotonic."""
        workspace = Workspace(self._settings, lease.search_id)
        try:
            command = [*self._command, lease.search_id, str(lease.fence)]
            process = ChildProcess(command, workspace.log_path(lease.fence), self._settings)
        except OSError as error:  # no room for its log, or no process to be had: as if it had crashed at once
            log.warning("search %s attempt %d cannot start: %s", lease.search_id, lease.fence, error)
            self._stores.claims.crashed(lease, crash_class(error), f"its process cannot start: {error}")
            return
        log.info("search %s attempt %d runs as process %d", lease.search_id, lease.fence, process.pid)
        attempt = Attempt(self._stores, lease, process, self._draining, claimed)
        end = attempt.watch()
        log.info("search %s attempt %d ended: %s, code %d", lease.search_id, lease.fence, end.cause, end.returncode)
        while True:
            try:
                self._settle(lease, end, workspace)
                return
            except UNAVAILABLE as error:
                if attempt.lease_left_s <= 0:
                    log.warning("search %s stays unsettled, a sweeper will end it: %s", lease.search_id, error)
                    return
                time.sleep(self._settings.poll_s)

    def _settle(self, lease: Lease, end: End, workspace: Workspace) -> None:
        """Write down how the attempt ended, unless its process did or somebody else owns the search by now."""
        tail = workspace.log_tail(lease.fence)
        if end.cause == Cause.LEASE_LOST:
            self._stores.events.stale_write(lease, "beat")
        else:
            try:
                self._close(lease, end, tail)
            except LeaseLost as lost:
                log.debug("nothing to settle: %s", lost)
        self._stores.claims.attach_log(lease, tail)
        try:
            state = self._stores.searches.get(lease.search_id).state
        except NotFound:
            return  # deleted meanwhile
        if state == SearchState.SUCCEEDED:
            workspace.delete_run_states()

    def _close(self, lease: Lease, end: End, tail: str) -> None:
        claims = self._stores.claims
        killed = end.cause == Cause.GRACE_OVER
        left = f"it did not leave within {self._settings.stop_grace_s:g} s and was killed" if killed else ""
        if end.returncode == ExitCode.CANCELLED or (killed and end.asked == "cancel"):
            claims.cancelled(lease, left)
        elif end.returncode == ExitCode.GAVE_BACK or killed:
            asked = "the user asked for a pause" if end.asked == "pause" else "the worker was told to stop"
            claims.gave_back(lease, f"{asked}; {left}" if left else asked)
        elif end.cause == Cause.STALLED:
            claims.crashed(lease, ExitClass.STALLED, f"no progress for {self._settings.stall_s:g} s")
        else:
            lines = tail.strip().splitlines()
            claims.crashed(lease, *crash_of(end.returncode, lines[-1] if lines else "", end.memory_ran_out))
