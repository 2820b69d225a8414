"""`python -m worker.checker`: checks data sets, one at a time, each in a process of its own.

Any number may run, and any may die: another one takes over when the lease of its check ends. The row is the job, so no
broker is needed, and no search keeps a check waiting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Sequence

from store.dataset_checks import CheckLease
from store.db import UNAVAILABLE
from store.errors import LeaseLost
from store.logs import read_tail
from store.settings import Settings
from store.stores import Stores, open_stores
from worker.attempt import SELF_FENCE_SHARE
from worker.exit_codes import crash_of
from worker.memory import memory_kills
from worker.process import CHECK_COMMAND, ChildProcess, Fuse

SWEEP_S = 60.0
ABANDONED_S = 24 * 3600.0  # a work folder or log that is older belongs to nobody
LEFT_BEHIND = (".check-*", ".checker-*.log")
_LOG_BYTES = 16_384

log = logging.getLogger(__name__)


class Checker:
    """Claims a data set, runs its check, settles how it ended; then the next.

    Args:
        command: the program of a check's process; it gets the name of the data set and the fence as arguments.
    """

    def __init__(self, stores: Stores, owner: str, *, command: Sequence[str] = CHECK_COMMAND) -> None:
        self._stores = stores
        self._settings = stores.settings
        self._owner = owner
        self._command = command
        self._sweep_at = time.monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Check data sets until `stopping` is set."""
        while not stopping.is_set():
            if not self.tick(stopping):
                stopping.wait(self._settings.check_poll_s)

    def tick(self, stopping: threading.Event) -> bool:
        """Tidy up if it is time, then check one data set; whether there was one. Survives a database that is away."""
        began = time.monotonic()
        try:
            if began >= self._sweep_at:
                self._sweep()
                self._sweep_at = began + SWEEP_S
            lease = self._stores.checks.claim(self._owner)
        except UNAVAILABLE as error:
            log.warning("no check, the database does not answer: %s", error)
            return False
        except OSError as error:
            log.warning("no check, the folder of data sets cannot be tidied up: %s", error)
            return False
        if lease is None:
            return False
        self._run(lease, began, stopping)
        return True

    def _sweep(self) -> None:
        """Delete what killed uploads and checks left."""
        self._stores.datasets.sweep_files()
        old = time.time() - ABANDONED_S
        for left in (path for kind in LEFT_BEHIND for path in self._settings.datasets_dir.glob(kind)):
            with contextlib.suppress(FileNotFoundError):  # another checker tidied up, or its owner did
                if left.stat().st_mtime >= old:
                    continue
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()

    def _run(self, lease: CheckLease, claimed: float, stopping: threading.Event) -> None:
        """Run the check to its end, and write down how it ended unless its process did."""
        # Named by the lease: checkers in containers have the same process number, and see the same folder.
        log_path = self._settings.datasets_dir / f".checker-{lease.name}-{lease.fence}.log"
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            process = ChildProcess([*self._command, lease.name, str(lease.fence)], log_path, self._settings)
        except OSError as error:
            self._settle(lease, f"its process cannot start: {error}")
            return
        log.info("data set %s is checked by process %d", lease.name, process.pid)
        kills = memory_kills()
        reason = self._watch(lease, process, claimed, stopping)
        returncode = process.reap()
        if reason is None and not stopping.is_set():
            tail = read_tail(log_path, _LOG_BYTES).strip().splitlines()
            _, reason = crash_of(returncode, tail[-1] if tail else "", memory_kills() > kills)
        log_path.unlink(missing_ok=True)
        self._settle(lease, reason)

    def _watch(self, lease: CheckLease, process: ChildProcess, claimed: float, stopping: threading.Event) -> str | None:
        """Beat until the process is gone, or has to go; the reason, if it is ours."""
        fuse = Fuse(claimed + self._settings.lease_s * SELF_FENCE_SHARE, process.kill)
        next_beat, moved_at, progress = claimed + self._settings.beat_s, claimed, None
        try:
            while process.wait(min(self._settings.poll_s, 0.2)) is None and not stopping.is_set():
                began = time.monotonic()
                if began < next_beat:
                    continue
                try:
                    self._stores.checks.beat(lease)
                    fuse.renew(began + self._settings.lease_s * SELF_FENCE_SHARE)
                    now = self._stores.checks.entry(lease).progress
                except LeaseLost:
                    return None  # deleted, or closed by the process itself, which is just leaving
                except UNAVAILABLE as error:
                    log.warning("data set %s: no beat: %s", lease.name, error)
                    continue
                next_beat = began + self._settings.beat_s
                if now != progress:
                    progress, moved_at = now, began
                elif began - moved_at > self._settings.stall_s:
                    return f"it made no progress for {self._settings.stall_s:g} s"
        finally:
            fuse.remove()
        return None

    def _settle(self, lease: CheckLease, reason: str | None) -> None:
        """Note a crash, or give the check back if there is no `reason`; nothing if its process closed it."""
        try:
            if reason is None:
                self._stores.checks.give_back(lease)
            else:
                state = self._stores.checks.crashed(lease, reason)
                log.warning("the check of data set %s broke off: %s; it is %s", lease.name, reason, state)
        except LeaseLost:
            pass  # as it should be: the process wrote the report, or somebody deleted the data set
        except UNAVAILABLE as error:
            log.warning("data set %s stays unsettled; its lease will end: %s", lease.name, error)


def main() -> None:
    """Check until SIGTERM or SIGINT."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stores = open_stores(settings)
    log.info("looking for data sets to check every %g s", settings.check_poll_s)
    try:
        Checker(stores, f"{socket.gethostname()}:{os.getpid()}").run(stopping)
    finally:
        stores.close()


if __name__ == "__main__":
    main()
