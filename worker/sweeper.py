"""`python -m worker.sweeper`: rings for what is queued, and takes searches away from workers that fell silent.

Any number may run, and any may die. After its own start, and after the database was away, a sweeper waits one whole
lease before it calls any attempt stale: live workers could not beat either, and need the time to do so.
"""

from __future__ import annotations

import logging
import shutil
import signal
import threading
import time
from pathlib import Path

from store.db import UNAVAILABLE
from store.queue import WorkerNotifier
from store.settings import Settings
from store.states import SearchState
from store.stores import Stores, open_stores
from worker.workspace import Workspace

WAITING_TOO_LONG_S = 600
CLEAR_UP_S = 600.0
LEFT_ALONE_S = 3600.0  # a folder that changed since then may be in use
_AT_ONCE = 500

log = logging.getLogger(__name__)


class Sweeper:
    """One pass is `tick`; what it does is in `store/sweeps.py`."""

    def __init__(self, stores: Stores, notifier: WorkerNotifier) -> None:
        self._stores = stores
        self._notifier = notifier
        self._answering_since: float | None = None  # monotonic; None while the database is away
        self._clear_up_at = time.monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Tick until `stopping` is set."""
        while not stopping.is_set():
            self.tick()
            stopping.wait(self._stores.settings.sweep_s)

    def tick(self) -> None:
        """Ring, then sweep if the database has been answering for a whole lease. Survives a database that is away."""
        began = time.monotonic()
        try:
            self._ring()
            if self._answering_since is not None and began - self._answering_since >= self._stores.settings.lease_s:
                self._sweep()
            if began >= self._clear_up_at:
                self.clear_up()
                self._clear_up_at = began + CLEAR_UP_S
        except UNAVAILABLE as error:
            log.warning("the database does not answer; no search is taken away until it has for a lease: %s", error)
            self._answering_since = None
            return
        if self._answering_since is None:
            self._answering_since = time.monotonic()

    def clear_up(self) -> None:
        """Delete files of searches that were deleted or succeeded, written by a process that did not know it yet."""
        settings = self._stores.settings
        old = [folder.name for folder in settings.searches_dir.glob("*/") if _is_left_alone(folder)]
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]
            states = self._stores.searches.states_of(some)
            for search_id in some:
                if search_id not in states:
                    shutil.rmtree(settings.searches_dir / search_id, ignore_errors=True)
                    self._stores.artifacts.delete_folder(search_id)
                elif states[search_id] == SearchState.SUCCEEDED:
                    Workspace(settings, search_id).delete_run_states()

    def _ring(self) -> None:
        due = self._stores.sweeps.due_notifications()
        if due:
            self._notifier.notify(due)
        waiting_s = self._stores.sweeps.oldest_wait_s()
        if waiting_s > WAITING_TOO_LONG_S:
            log.warning("a search has waited %.0f s for a worker: are all busy, or is none running?", waiting_s)

    def _sweep(self) -> None:
        for swept in self._stores.sweeps.sweep():
            log.warning("search %s attempt %d was stale: now %s", swept.lease.search_id, swept.lease.fence, swept.state)


def _is_left_alone(folder: Path) -> bool:
    try:
        return folder.stat().st_mtime < time.time() - LEFT_ALONE_S
    except FileNotFoundError:
        return False  # just deleted


def main() -> None:
    """Sweep until SIGTERM or SIGINT."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stores, notifier = open_stores(settings), WorkerNotifier(settings.broker_url)
    log.info("sweeping every %g s, leases last %g s", settings.sweep_s, settings.lease_s)
    try:
        Sweeper(stores, notifier).run(stopping)
    finally:
        notifier.close()
        stores.close()


if __name__ == "__main__":
    main()
