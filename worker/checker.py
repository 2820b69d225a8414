"""`python -m worker.checker`: checks datasets, one at a time, each in its own process.

Any number of checkers may run, and any may die: another takes over when the lease of its check ends. The row is the
job, so checks need no broker and never wait behind a search.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from store.dataset_checks import CheckLease, CheckStore
from store.db import UNAVAILABLE
from store.errors import LeaseLost
from store.logs import read_tail
from store.settings import Settings
from store.stores import Stores
from worker.exit_codes import describe_crash
from worker.leased_process import LOST, Cause, LeasedProcess, LeaseView, Pace, ProcessEnd
from worker.process import CHECK_COMMAND, SupervisedProcess
from worker.saved_checks import delete_unused
from worker.service import run_service

SWEEP_S = 60.0
ABANDONED_S = 24 * 3600.0  # a work folder or log older than this is no longer in use
LEFT_BEHIND = (".check-*", ".checker-*.log")
MAX_POLL_S = 0.2
_LOG_BYTES = 16_384

log = logging.getLogger(__name__)


class Checker:
    """Claims a dataset, runs its check, records how it ended; then the next.

    Args:
        owner: stored with each claim, for people who read the rows.
        command: the command of a check process; the dataset's name and the fence are appended as arguments.
    """

    def __init__(self, stores: Stores, owner: str, *, command: Sequence[str] = CHECK_COMMAND) -> None:
        self._stores = stores
        self._settings = stores.settings
        self._owner = owner
        self._command = command
        self._sweep_at = time.monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Check datasets until `stopping` is set."""
        while not stopping.is_set():
            if not self.tick(stopping):
                stopping.wait(self._settings.check_poll_s)

    def tick(self, stopping: threading.Event) -> bool:
        """Sweep files if it is time, then check one dataset. Survives an unavailable database.

        Returns:
            Whether there was a dataset to check.
        """
        began = time.monotonic()
        try:
            if began >= self._sweep_at:
                self._sweep()
                self._sweep_at = began + SWEEP_S
            lease = self._stores.checks.claim(self._owner)
        except UNAVAILABLE as error:
            log.warning("no dataset claimed, database unavailable: %s", error)
            return False
        except OSError as error:
            log.warning("no dataset claimed, the datasets folder could not be swept: %s", error)
            return False
        if lease is None:
            return False
        self._run(lease, began, stopping)
        return True

    def _sweep(self) -> None:
        """Delete what killed uploads and checks left behind."""
        self._stores.datasets.sweep_files()
        delete_unused(self._stores)
        abandoned_before = time.time() - ABANDONED_S
        for path in (path for pattern in LEFT_BEHIND for path in self._settings.datasets_dir.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile by another checker or by its owner
                if path.stat().st_mtime >= abandoned_before:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()

    def _run(self, lease: CheckLease, claimed_at: float, stopping: threading.Event) -> None:
        """Run the check to its end, and record how it ended unless its process did."""
        # Named by the lease: checkers in containers share the folder, and may have the same process id.
        log_path = self._settings.datasets_dir / f".checker-{lease.name}-{lease.fence}.log"
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            process = SupervisedProcess.start([*self._command, lease.name, str(lease.fence)], log_path, self._settings)
        except OSError as error:
            self.record_outcome(lease, f"its process could not be started: {error}")
            return
        log.info("the check of dataset %s runs as process %d", lease.name, process.pid)
        keeper = CheckLeaseKeeper(self._stores.checks, lease)
        end = LeasedProcess(process, keeper, _pace(self._settings), claimed_at, abandon=stopping.is_set).watch()
        crash = self._describe(end, log_path, stopping.is_set())
        log_path.unlink(missing_ok=True)
        self.record_outcome(lease, crash)

    def _describe(self, end: ProcessEnd, log_path: Path, stopping: bool) -> str | None:
        """Why the check counts as crashed, or None if it does not because this checker is stopping."""
        if end.cause == Cause.STALLED:
            return f"it made no progress for {self._settings.stall_s:g} s"
        if stopping:
            return None
        _, crash = describe_crash(end.returncode, read_tail(log_path, _LOG_BYTES), end.memory_ran_out)
        return crash

    def record_outcome(self, lease: CheckLease, crash: str | None) -> None:
        """Record a crash, or give the check back if there was none; does nothing if its process closed it."""
        try:
            if crash is None:
                self._stores.checks.give_back(lease)
            else:
                state = self._stores.checks.crashed(lease, crash)
                log.warning("the check of dataset %s failed: %s; the dataset is %s", lease.name, crash, state)
        except LeaseLost:
            pass  # the usual case: the process stored its report; or the dataset was deleted
        except UNAVAILABLE as error:
            log.warning("outcome of the check of dataset %s not recorded, its lease will end: %s", lease.name, error)


class CheckLeaseKeeper:
    """The lease of one dataset check. Its row carries no stop requests, so it is read only when it beats."""

    def __init__(self, checks: CheckStore, lease: CheckLease) -> None:
        self.name = f"check of dataset {lease.name}"
        self._checks = checks
        self._lease = lease

    def look(self) -> None:
        return None

    def beat(self) -> LeaseView:
        try:
            progress = self._checks.entry(self._lease).progress
            self._checks.beat(self._lease)
        except LeaseLost:  # deleted, taken over, or closed by the process, which is about to exit
            return LOST
        return LeaseView(held=True, progress=progress)


def _pace(settings: Settings) -> Pace:
    """A check saves what it found as it goes, so it gets no time to do so when it has to stop."""
    return Pace(
        poll_s=min(settings.poll_s, MAX_POLL_S),
        beat_s=settings.beat_s,
        lease_s=settings.lease_s,
        stall_s=settings.stall_s,
        stop_grace_s=0,
        exit_grace_s=0,
    )


def serve(stores: Stores, stopping: threading.Event) -> None:
    """Check datasets until `stopping` is set."""
    log.info("polling for datasets to check every %g s", stores.settings.check_poll_s)
    Checker(stores, f"{socket.gethostname()}:{os.getpid()}").run(stopping)


if __name__ == "__main__":
    run_service(serve)
