"""`python -m worker.checker`: checks datasets and uploaded weights, a few side by side, each in its own process.

One that takes long makes way for others that wait (`worker/turn.py`). Any number of checkers may run, and any may die:
another takes over when the lease of its check ends. The row is the job, so checks need no broker and never wait behind
a search.
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
from itertools import product
from pathlib import Path

from autonl_core.host.confined import missing_confinement
from store.checks import CheckLease
from store.db import UNAVAILABLE
from store.errors import LeaseLost
from store.logs import read_tail
from store.settings import Settings
from store.stores import Stores, open_stores
from telemetry.exposition import serve_metrics
from telemetry.ids import ids
from telemetry.metrics import CheckerMetrics
from worker.check_kinds import CheckKind, dataset_checks, weight_checks
from worker.dataset_places import delete_unused_copies
from worker.exit_codes import describe_crash
from worker.leased_process import LOST, Cause, LeasedProcess, LeaseView, Pace, ProcessEnd
from worker.process import SupervisedProcess
from worker.saved_checks import delete_unused
from worker.service import require_packages, run_service
from worker.turn import Turn

SWEEP_S = 60.0
ABANDONED_S = 24 * 3600.0  # a work folder or log older than this is no longer in use
LEFT_BEHIND = (".check-*", ".checker-*.log")
MAX_POLL_S = 0.2
_LOG_BYTES = 16_384

log = logging.getLogger(__name__)


class Checker:
    """Claims a check, runs it, records how it ended; then the next. The kinds of checks take turns.

    Args:
        owner: stored with each claim, for people who read the rows.
        kinds: what to check, at first in this order; None: weights, which take seconds, then datasets.
    """

    def __init__(
        self,
        stores: Stores,
        owner: str,
        *,
        kinds: Sequence[CheckKind] | None = None,
        metrics: CheckerMetrics | None = None,
    ) -> None:
        self._metrics = metrics or CheckerMetrics(stores.settings.data_dir)
        self._stores = stores
        self._settings = stores.settings
        self._owner = owner
        self._kinds = list(kinds or (weight_checks(stores), dataset_checks(stores)))
        self._sweep_at = time.monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Check until `stopping` is set."""
        while not stopping.is_set():
            if not self.tick(stopping):
                stopping.wait(self._settings.check_poll_s)

    def tick(self, stopping: threading.Event) -> bool:
        """Sweep files if it is time, then run one check. Survives an unavailable database.

        Returns:
            Whether there was something to check.
        """
        began = time.monotonic()
        try:
            if began >= self._sweep_at:
                self._sweep()
                self._sweep_at = began + SWEEP_S
            claimed = self._claim()
        except UNAVAILABLE as error:
            log.warning("nothing claimed, database unavailable: %s", error)
            return False
        except OSError as error:
            log.warning("nothing claimed, the folders of uploads could not be swept: %s", error)
            return False
        if claimed is None:
            return False
        kind, lease = claimed
        with ids(tenant_id=lease.tenant_id, check=f"{kind.noun} {lease.name}"):
            self._run(kind, lease, began, stopping)
        return True

    def _claim(self) -> tuple[CheckKind, CheckLease] | None:
        for kind in self._kinds:
            if (lease := kind.checks.claim(self._owner)) is not None:
                self._kinds.sort(key=lambda other: other is kind)  # last, next time
                return kind, lease
        return None

    def _sweep(self) -> None:
        """Delete what killed uploads and checks left behind."""
        for tenant_id in self._stores.tenants.ids():
            stores = self._stores.of_tenant(tenant_id)
            stores.datasets.sweep_files()
            stores.weight_sets.sweep_files()
            delete_unused(stores)
        delete_unused_copies(self._stores)
        abandoned_before = time.time() - ABANDONED_S
        places = product((kind.folder for kind in self._kinds), LEFT_BEHIND)
        for path in (path for folder, pattern in places for path in folder.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile by another checker or by its owner
                if path.stat().st_mtime >= abandoned_before:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()

    def _run(self, kind: CheckKind, lease: CheckLease, claimed_at: float, stopping: threading.Event) -> None:
        """Run the check to its end, and record how it ended unless its process did."""
        # Named by the lease: checkers in containers share the folder, and may have the same process id.
        log_path = kind.folder / f".checker-{lease.tenant_id}-{lease.name}-{lease.fence}.log"
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            command = [*kind.command, lease.name, str(lease.fence), lease.tenant_id]
            process = SupervisedProcess.start(command, log_path, self._settings)
        except OSError as error:
            self.record_outcome(kind, lease, f"its process could not be started: {error}")
            return
        log.info("the check of %s %s runs as process %d", kind.noun, lease.name, process.pid)
        keeper = CheckLeaseKeeper(kind, lease)
        turn = Turn(self._settings.check_turn_s, lease.turn, self._any_waits)
        has_to_end = lambda: stopping.is_set() or turn.is_over()  # noqa: E731
        end = LeasedProcess(process, keeper, _pace(self._settings), claimed_at, abandon=has_to_end).watch()
        if end.cause == Cause.ABANDONED and not stopping.is_set():
            how = self._make_way(kind, lease, turn)
        else:
            how = self.record_outcome(kind, lease, self._describe(end, log_path, stopping.is_set()))
        how = "lease_lost" if end.cause == Cause.LEASE_LOST else how
        self._metrics.check_ended(kind.noun, how, time.monotonic() - claimed_at)
        log_path.unlink(missing_ok=True)

    def _any_waits(self) -> bool:
        return any(kind.checks.any_waits() for kind in self._kinds)

    def _make_way(self, kind: CheckKind, lease: CheckLease, turn: Turn) -> str:
        """Record that the turn of a check is over, unless its process closed it. Returns how it ended, for metrics."""
        log.info("the check of %s %s makes way for others after %.0f s", kind.noun, lease.name, turn.length_s)
        try:
            kind.checks.end_turn(lease)
        except LeaseLost:
            return "closed"
        except UNAVAILABLE as error:
            log.warning("the turn of %s %s not ended, its lease will end: %s", kind.noun, lease.name, error)
        return "made_way"

    def _describe(self, end: ProcessEnd, log_path: Path, stopping: bool) -> str | None:
        """Why the check counts as crashed, or None if it does not: this checker is stopping, or was late."""
        if end.cause == Cause.STALLED:
            return f"it made no progress for {self._settings.stall_s:g} s"
        if stopping or end.cause == Cause.LEASE_LOST:  # late beats say nothing about what is checked
            return None
        _, crash = describe_crash(end.returncode, read_tail(log_path, _LOG_BYTES), end.memory_ran_out)
        return crash

    def record_outcome(self, kind: CheckKind, lease: CheckLease, crash: str | None) -> str:
        """Record a crash, or give the check back if there was none; does nothing if its process closed it.

        Returns:
            How it ended, as metrics count it.
        """
        try:
            if crash is None:
                kind.checks.give_back(lease)
            else:
                state = kind.checks.crashed(lease, crash)
                log.warning("the check of %s %s failed: %s; it is %s", kind.noun, lease.name, crash, state)
        except LeaseLost:
            return "closed"  # the usual case: the process stored what it found; or what it checked was deleted
        except UNAVAILABLE as error:
            log.warning(
                "outcome of the check of %s %s not recorded, its lease will end: %s", kind.noun, lease.name, error
            )
        return "given_back" if crash is None else "crashed"


class CheckLeaseKeeper:
    """The lease of one check. Its row carries no stop requests, so it is read only when it beats."""

    def __init__(self, kind: CheckKind, lease: CheckLease) -> None:
        self.name = f"check of {kind.noun} {lease.name}"
        self._checks = kind.checks
        self._lease = lease

    def look(self) -> None:
        return None

    def beat(self) -> LeaseView:
        try:
            progress = self._checks.progress(self._lease)
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
    """Check until `stopping` is set, with several checkers in one process."""
    settings, metrics = stores.settings, CheckerMetrics(stores.settings.data_dir)
    serve_metrics(metrics.registry, settings.metrics_host, settings.checker_metrics_port, "AUTONL_CHECKER_METRICS_PORT")
    for missing in missing_confinement():
        log.warning("%s", missing)
    log.info("polling for datasets and weights every %g s, %d at the same time", settings.check_poll_s, settings.checks)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with contextlib.ExitStack() as opened:
        others = []
        for number in range(2, settings.checks + 1):
            own_stores = opened.enter_context(contextlib.closing(open_stores(settings)))
            checker = Checker(own_stores, f"{owner}/{number}", metrics=metrics)
            others.append(threading.Thread(target=_run_until_any_ends, args=(checker, stopping)))
            others[-1].start()
        try:
            _run_until_any_ends(Checker(stores, owner, metrics=metrics), stopping)
        finally:
            for other in others:
                other.join()


def _run_until_any_ends(checker: Checker, stopping: threading.Event) -> None:
    """If one of several fails, the process ends, and whatever started it starts it again."""
    try:
        checker.run(stopping)
    finally:
        stopping.set()


if __name__ == "__main__":
    require_packages("checker")
    run_service(serve)
