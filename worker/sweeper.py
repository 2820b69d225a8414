"""`python -m worker.sweeper`: rings for what is queued, and takes searches away from workers that fell silent.

Any number may run, and any may die. After its own start, and after the database was away, a sweeper waits one whole
lease before it calls any attempt stale: live workers could not beat either, and need the time to do so.
"""

from __future__ import annotations

import logging
import signal
import threading
import time

from store.db import UNAVAILABLE
from store.queue import Doorbell
from store.settings import Settings
from store.stores import Stores, open_stores

WAITING_TOO_LONG_S = 600

log = logging.getLogger(__name__)


class Sweeper:
    """One pass is `tick`; what it does is in `store/sweeps.py`."""

    def __init__(self, stores: Stores, doorbell: Doorbell) -> None:
        self._stores = stores
        self._doorbell = doorbell
        self._answering_since: float | None = None  # monotonic; None while the database is away

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
        except UNAVAILABLE as error:
            log.warning("the database does not answer; no search is taken away until it has for a lease: %s", error)
            self._answering_since = None
            return
        if self._answering_since is None:
            self._answering_since = time.monotonic()

    def _ring(self) -> None:
        due = self._stores.sweeps.due_to_ring()
        if due:
            self._doorbell.ring(due)
        waiting_s = self._stores.sweeps.oldest_wait_s()
        if waiting_s > WAITING_TOO_LONG_S:
            log.warning("a search has waited %.0f s for a worker: are all busy, or is none running?", waiting_s)

    def _sweep(self) -> None:
        for swept in self._stores.sweeps.sweep():
            log.warning("search %s attempt %d was stale: now %s", swept.lease.search_id, swept.lease.fence, swept.state)


def main() -> None:
    """Sweep until SIGTERM or SIGINT."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stores, doorbell = open_stores(settings), Doorbell(settings.broker_url)
    log.info("sweeping every %g s, leases last %g s", settings.sweep_s, settings.lease_s)
    try:
        Sweeper(stores, doorbell).run(stopping)
    finally:
        doorbell.close()
        stores.close()


if __name__ == "__main__":
    main()
