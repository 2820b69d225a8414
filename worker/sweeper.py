"""`python -m worker.sweeper`: notifies workers of queued searches, and takes searches away from workers gone silent.

Any number of sweepers may run, and any may die. After it starts, and after the database was unavailable, a sweeper
waits for one full lease before it treats an attempt as stale: live workers could not beat either, and need that time.
So it does after it slept: workers of the same machine slept as well.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path

from store.db import UNAVAILABLE
from store.errors import BucketUnavailable, DatasetInUse, NotFound, WeightSetInUse
from store.queue import WorkerNotifier
from store.search_files import delete_search_files
from store.states import SearchState
from store.stores import Stores
from telemetry.exposition import serve_metrics
from telemetry.metrics import SweeperMetrics
from worker.own_time import SleepDetector
from worker.service import run_service
from worker.workspace import Workspace

WAITING_TOO_LONG_S = 600
CLEAN_UP_S = 600.0
UNTOUCHED_S = 3600.0  # a folder that changed more recently may be in use
_BATCH = 500

log = logging.getLogger(__name__)


class Sweeper:
    """Calls `tick` again and again; what a sweep does is in `store/sweeps.py`."""

    def __init__(self, stores: Stores, notifier: WorkerNotifier, metrics: SweeperMetrics | None = None) -> None:
        self._metrics = metrics or SweeperMetrics(stores.settings.data_dir)
        self._stores = stores
        self._notifier = notifier
        self._answering_since: float | None = None  # monotonic; None while the database is unavailable
        self._clean_up_at = time.monotonic()
        self._sleep = SleepDetector(stores.settings.sweep_s + stores.settings.lease_s / 2)

    def run(self, stopping: threading.Event) -> None:
        """Tick until `stopping` is set."""
        while not stopping.is_set():
            self.tick()
            stopping.wait(self._stores.settings.sweep_s)

    def tick(self) -> None:
        """Notify, and sweep if the database has answered for a full lease. Survives an unavailable database."""
        began = time.monotonic()
        if self._sleep.slept() and self._answering_since is not None:
            log.warning("this machine slept, or its clock jumped; no sweep for a full lease")
            self._answering_since = began
        try:
            if self._stores.sweeps.are_needed():
                self._notify()
                if self._answering_since is not None and began - self._answering_since >= self._stores.settings.lease_s:
                    self._sweep()
            if began >= self._clean_up_at:
                self._clean_up_at = began + CLEAN_UP_S
                self._clean_up_if_possible()
        except UNAVAILABLE as error:
            log.warning("database unavailable; no sweep until it has answered for a full lease: %s", error)
            self._answering_since = None
            return
        self._metrics.ticked()
        if self._answering_since is None:
            self._answering_since = time.monotonic()

    def _clean_up_if_possible(self) -> None:
        try:
            self.clean_up()
        except BucketUnavailable as error:
            log.warning("what is not needed any more is deleted later: %s", error)

    def clean_up(self) -> None:
        """Delete old supernets and first answers, and what was written for a search that was already gone."""
        self._stores.supernets.delete_old()
        self._stores.answers.delete_old()
        self._forget()
        settings = self._stores.settings
        in_bucket = self._stores.run_states.untouched(UNTOUCHED_S)
        folders = [folder.name for folder in settings.searches_dir.glob("*/") if _is_untouched(folder)]
        untouched = sorted({*folders, *in_bucket})
        for start in range(0, len(untouched), _BATCH):
            search_ids = untouched[start : start + _BATCH]
            states = self._stores.searches.states_of(search_ids)
            for search_id in search_ids:
                if search_id not in states:
                    delete_search_files(self._stores, search_id)
                elif states[search_id] == SearchState.SUCCEEDED:
                    Workspace(settings, search_id).delete_run_states()
                    if in_bucket.get(search_id):
                        self._stores.run_states.delete_states(search_id)

    def _forget(self) -> None:
        """Delete what is kept for a time only, as the settings say."""
        stores = self._stores
        for gone in stores.retention.forget_files():
            Workspace(stores.settings, gone.search_id).delete_unreferenced(gone.fence + 1, ())
            stores.run_states.delete_unreferenced(gone.search_id, gone.fence + 1, ())
            log.info("the files of search %s are no longer kept", gone.search_id)
        if count := stores.retention.forget_events():
            log.info("the events of %d searches are no longer kept", count)
        for tenant_id, name in stores.retention.refused_datasets():
            with contextlib.suppress(NotFound, DatasetInUse):  # deleted, or added again, meanwhile
                stores.of_tenant(tenant_id).datasets.delete(name, if_refused=True)
                log.info("dataset %s was refused and is no longer kept", name)
        for tenant_id, name in stores.retention.refused_weights():
            with contextlib.suppress(NotFound, WeightSetInUse):
                stores.of_tenant(tenant_id).weight_sets.delete(name, if_refused=True)
                log.info("weight set %s was refused and is no longer kept", name)

    def _notify(self) -> None:
        for resource_class, times in self._stores.sweeps.due_notifications().items():
            self._notifier.notify(times, resource_class)
        waiting_s = self._stores.sweeps.oldest_wait_s()
        if waiting_s > WAITING_TOO_LONG_S:
            log.warning("a search has waited %.0f s: all workers are busy, or none is running", waiting_s)

    def _sweep(self) -> None:
        for swept in self._stores.sweeps.sweep():
            self._metrics.stale_attempts.inc()
            log.warning("search %s attempt %d was stale: now %s", swept.lease.search_id, swept.lease.fence, swept.state)


def _is_untouched(folder: Path) -> bool:
    try:
        return folder.stat().st_mtime < time.time() - UNTOUCHED_S
    except FileNotFoundError:
        return False  # just deleted


def serve(stores: Stores, stopping: threading.Event) -> None:
    """Sweep until `stopping` is set."""
    settings = stores.settings
    with contextlib.closing(WorkerNotifier(settings.broker_url)) as notifier:
        log.info("sweeping every %g s, leases last %g s", settings.sweep_s, settings.lease_s)
        metrics = SweeperMetrics(settings.data_dir)
        serve_metrics(
            metrics.registry, settings.metrics_host, settings.sweeper_metrics_port, "AUTONL_SWEEPER_METRICS_PORT"
        )
        Sweeper(stores, notifier, metrics).run(stopping)


if __name__ == "__main__":
    run_service(serve)
