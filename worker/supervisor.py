"""Runs searches: claim one, start its process, watch it, record how it ended; then the next.

Knows nothing of Celery and loads no tensor code. The database rows decide everything: a supervisor that dies or loses
its lease leaves a search that another supervisor can take over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autonl_core.spec.progress import StopRequest
from store.db import UNAVAILABLE
from store.errors import BucketUnavailable, LeaseLost, NotFound
from store.leases import Lease
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores
from telemetry.ids import ids
from telemetry.traces import current_traceparent, span
from worker.attempt_outcome import Outcome, may_be_of_device, outcome_of
from worker.devices.device import CPU, CpuSlot, Device, Slot
from worker.devices.gpu import PROBE_S
from worker.exit_codes import crash_class, describe_crash
from worker.exporting_beside import ExportsBeside
from worker.leased_process import Cause, LeasedProcess, Pace, ProcessEnd
from worker.process import SEARCH_COMMAND, SupervisedProcess
from worker.ranks import in_ranks, sharing
from worker.search_lease import SearchLeaseKeeper
from worker.slot_news import NO_OBSERVER, AttemptObserver
from worker.spare import Spare
from worker.workspace import Workspace

EXIT_GRACE_S = 5.0  # time for a process to exit once it has closed its search
SPARE_REST_S = 15.0  # between a search and the preparations for the next

log = logging.getLogger(__name__)


class Supervisor:
    """Runs one search at a time, for as long as any is queued.

    Args:
        owner: stored with each claim, for people who read the rows; unique per worker slot.
        draining: asked repeatedly; once true, a running search is saved and given back.
        observer: is informed of each attempt.
        command: the command of a search process; the search id and the fence are appended as arguments.
        spare: a search process that waits for its search; None: every process is started when it is needed.
        slot: where they run.
    """

    def __init__(
        self,
        stores: Stores,
        owner: str,
        *,
        draining: Callable[[], bool] = lambda: False,
        command: Sequence[str] = SEARCH_COMMAND,
        spare: Spare | None = None,
        observer: AttemptObserver = NO_OBSERVER,
        slot: Slot | None = None,
    ) -> None:
        self._stores = stores
        self._settings = stores.settings
        self._owner = owner
        self._draining = draining
        self._command = command
        self._spare = spare
        self._observer = observer
        self._slot = slot or CpuSlot()
        self._beside = ExportsBeside()

    def run_until_idle(self) -> int:
        """Run searches until none is due, there is no device for one, no database, or the worker drains.

        A search that exports without the device of this slot is waited for at the end, while others may become due.

        Returns:
            The number of attempts it ran.
        """
        attempts = 0
        while not self._draining():
            if self._run_next():
                attempts += 1
                if self._spare is not None and not self._draining():
                    self._spare.renew(rest_s=SPARE_REST_S, device=self._slot.preferred)
            elif not self._beside.still_runs(self._settings.poll_s):
                break
        self._beside.wait()
        return attempts

    def _run_next(self) -> bool:
        """Claim a search and run it on the device of this slot; False if there is nothing to run, or no device."""
        with self._slot.take(self._any_due) as device:
            if device is None:
                return False
            claimed_at = time.monotonic()
            try:
                lease = self._stores.claims.claim(self._owner, self._slot.served)
            except UNAVAILABLE as error:
                log.warning("no search claimed, database unavailable: %s", error)
                return False
            if lease is None:
                return False
            of_request = ids(request_id=lease.origin.request_id, tenant_id=lease.origin.tenant_id)
            with of_request, ids(search_id=lease.search_id, attempt=lease.fence):
                self._run_on(device, lease, claimed_at)
            return True

    def _run_on(self, device: Device, lease: Lease, claimed_at: float) -> None:
        """Run the attempt to its end, or until it has left the device to the next one; it then ends beside that."""
        left = threading.Event()
        if not self._slot.exports_elsewhere:
            self._run(lease, device, claimed_at, left)
            return
        if self._beside.run(lambda: self._run(lease, device, claimed_at, left), left):
            device.leave()

    def _any_due(self) -> bool:
        try:
            return self._stores.claims.any_due(self._slot.served)
        except UNAVAILABLE as error:
            log.warning("no search claimed, database unavailable: %s", error)
            return False

    def _run(self, lease: Lease, device: Device, claimed_at: float, left: threading.Event) -> None:
        """Run the attempt that holds `lease` to its end.

        Args:
            claimed_at: when the claim was requested, in seconds of the monotonic clock.
            left: set once the attempt needs its device no more.
        """
        parent, exit_class = lease.origin.traceparent, "unknown"
        self._observer.began()
        try:
            with span("claim", parent=parent, lasted_s=time.monotonic() - claimed_at):
                pass
            with span("attempt", parent=parent) as own_span:
                self._link_spans(lease)
                self._supervise(lease, device, claimed_at, left)
                exit_class = self._exit_class(lease)
                own_span.set({"autonl.exit_class": exit_class})
        finally:
            self._observer.ended(exit_class, time.monotonic() - claimed_at)

    def _link_spans(self, lease: Lease) -> None:
        """Let the process of the attempt know the current span, if it is recorded."""
        if (traceparent := current_traceparent()) is not None:
            try:
                self._stores.claims.attach_traceparent(lease, traceparent)
            except UNAVAILABLE as error:
                log.warning("the spans of the search process will have no parent, database unavailable: %s", error)

    def _exit_class(self, lease: Lease) -> str:
        """How the attempt ended, as recorded; `unknown` if that cannot be read."""
        try:
            attempt = self._stores.claims.attempt(lease)
        except UNAVAILABLE:
            attempt = None
        return attempt.exit_class.value if attempt is not None and attempt.exit_class is not None else "unknown"

    def _supervise(self, lease: Lease, device: Device, claimed_at: float, left: threading.Event) -> None:
        """Start the process of the attempt, watch it, and record how it ended."""
        workspace = Workspace(self._settings, lease.search_id)
        try:
            process = self._start(lease, device, workspace.log_path(lease.fence))
        except OSError as error:  # disk full, or too many processes: counts as a crash
            log.warning("search %s attempt %d could not be started: %s", lease.search_id, lease.fence, error)
            self._stores.claims.crashed(lease, crash_class(error), f"its process could not be started: {error}")
            return
        log.info(
            "search %s attempt %d runs as process %d on %s", lease.search_id, lease.fence, process.pid, device.name
        )
        keeper = SearchLeaseKeeper(self._stores, lease, process.compute_s, self._draining, on_export=left.set)
        leased = LeasedProcess(process, keeper, _pace(self._settings), claimed_at)
        end = leased.watch()
        log.info(
            "search %s attempt %d ended: %s, exit code %d", lease.search_id, lease.fence, end.cause, end.returncode
        )
        may_be_sick = may_be_of_device(end) and not left.is_set()
        sickness = device.sickness(min(PROBE_S, leased.lease_left_s / 2)) if may_be_sick else None
        while True:
            try:
                self._stores.usage.spent(lease, process.compute_s())
                self.record_outcome(lease, end, workspace, sickness)
                return
            except UNAVAILABLE as error:
                if leased.lease_left_s <= 0:
                    log.warning("outcome of search %s left to a sweeper: %s", lease.search_id, error)
                    return
                time.sleep(self._settings.poll_s)

    def _start(self, lease: Lease, device: Device, log_path: Path) -> SupervisedProcess:
        """The process of an attempt: the one that waits, or else a new one. Raises OSError."""
        ranks = self._ranks(lease, device)
        if self._spare is not None and ranks == 1:
            waiting = self._spare.take(lease, log_path, device)
            if waiting is not None:
                return waiting
        command = in_ranks([*self._command, lease.search_id, str(lease.fence)], ranks)
        return SupervisedProcess.start(command, log_path, self._settings, device)

    def _ranks(self, lease: Lease, device: Device) -> int:
        """How many processes compute the search; one on a GPU, of which a slot has a single one."""
        if self._settings.ranks == 1 or device.name != CPU.name:
            return 1
        return sharing(lease.batch_parts, self._settings.ranks)

    def record_outcome(self, lease: Lease, end: ProcessEnd, workspace: Workspace, sickness: str | None = None) -> None:
        """Write down how the attempt ended, unless its process already did or another attempt owns the search.

        Args:
            sickness: what is wrong with its device, which then is to blame for a crash.
        """
        tail = workspace.log_tail(lease.fence)
        try:
            if sickness is None:
                self._close(lease, end, tail)
            else:
                self._stores.claims.device_failed(lease, f"its GPU failed: {sickness}")
        except LeaseLost as lost:
            log.debug("no outcome to record: %s", lost)
            if end.cause == Cause.LEASE_LOST:
                self._stores.events.stale_write(lease, "beat")
        self._stores.claims.attach_log(lease, tail)
        try:
            state = self._stores.searches.get(lease.search_id).state
        except NotFound:
            return  # deleted in the meantime
        self._delete_files(lease, workspace, has_succeeded=state == SearchState.SUCCEEDED)

    def _delete_files(self, lease: Lease, workspace: Workspace, *, has_succeeded: bool) -> None:
        """Delete what the next attempt will not need; a sweeper deletes what a bucket keeps now."""
        run_states = self._stores.run_states
        if has_succeeded:
            workspace.delete_run_states()
            try:
                run_states.delete_states(lease.search_id)
            except BucketUnavailable as error:
                log.warning("the run states of search %s are deleted later: %s", lease.search_id, error)
        elif not run_states.is_shared_folder:
            workspace.delete_attempt(lease.fence)

    def _close(self, lease: Lease, end: ProcessEnd, tail: str) -> None:
        claims = self._stores.claims
        note = self._kill_note(end)
        match outcome_of(end):
            case Outcome.CANCELLED:
                claims.cancelled(lease, note)
            case Outcome.SPENT:
                claims.spent(lease, _REQUESTED_BY["spent"] + (f"; {note}" if note else ""))
            case Outcome.GAVE_BACK:
                claims.gave_back(lease, _REQUESTED_BY[end.stop_request] + (f"; {note}" if note else ""))
            case Outcome.INTERRUPTED:
                claims.interrupted(lease, "its worker could not beat in time, and ended it")
            case Outcome.OTHER_VERSION:
                claims.not_understood(lease, tail.strip().rpartition("\n")[2])
            case Outcome.STALLED:
                claims.crashed(lease, ExitClass.STALLED, f"no progress for {self._settings.stall_s:g} s")
            case Outcome.CRASHED:
                claims.crashed(lease, *describe_crash(end.returncode, tail, end.memory_ran_out))

    def _kill_note(self, end: ProcessEnd) -> str:
        """What to add about a process that ignored its stop request; empty if it did not."""
        killed = end.cause == Cause.GRACE_OVER
        return f"it did not exit within {self._settings.stop_grace_s:g} s and was killed" if killed else ""


_REQUESTED_BY: Mapping[StopRequest | None, str] = {
    "cancel": "the user cancelled the search",
    "pause": "the user paused the search",
    "spent": "it has used the CPU seconds that it may use",
    "drain": "the worker was asked to stop",
    None: "the worker was asked to stop",
}


def _pace(settings: Settings) -> Pace:
    return Pace(
        poll_s=settings.poll_s,
        beat_s=settings.beat_s,
        lease_s=settings.lease_s,
        stall_s=settings.stall_s,
        stop_grace_s=settings.stop_grace_s,
        exit_grace_s=EXIT_GRACE_S,
    )
