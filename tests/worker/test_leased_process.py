"""A real process under a scripted lease: what is passed on to it, what ends it, and how that is reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from autonl_core.spec.progress import StopRequest
from store.settings import Settings
from worker.leased_process import LOST, SELF_FENCE_SHARE, Cause, LeasedProcess, LeaseView, Pace, ProcessEnd
from worker.process import SupervisedProcess

PACE = Pace(poll_s=0.05, beat_s=0.1, lease_s=60, stall_s=60, stop_grace_s=60, exit_grace_s=0)
HELD = LeaseView(held=True)
Start = Callable[[str], SupervisedProcess]
SLEEP = "import time; time.sleep(60)"
ECHO_TWO_REQUESTS = "for _ in range(2): print(input(), flush=True)"


class ScriptedLease:
    """Answers with one view after another, the last one for ever; None: the database is unavailable."""

    name = "search 1"

    def __init__(self, *views: LeaseView | None) -> None:
        self._views: Iterator[LeaseView | None] = iter(views)
        self._view: LeaseView | None = HELD
        self.beats = 0

    def look(self) -> LeaseView:
        self._view = next(self._views, self._view)
        if self._view is None:
            raise OperationalError("beat", {}, ConnectionError("no answer"))
        return self._view

    def beat(self) -> LeaseView:
        view = self.look()
        self.beats += 1
        return view


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start(log: Path, tmp_path: Path) -> Start:
    return lambda program: SupervisedProcess.start([sys.executable, "-c", program], log, Settings(data_dir=tmp_path))


def views(*requests: StopRequest) -> list[LeaseView]:
    return [LeaseView(held=True, stop_request=request) for request in requests]


def watch(process: SupervisedProcess, lease: ScriptedLease, pace: Pace = PACE, *, abandon: bool = False) -> ProcessEnd:
    return LeasedProcess(process, lease, pace, time.monotonic(), abandon=lambda: abandon).watch()


def test_a_process_that_exits_is_reported_with_its_code(start: Start) -> None:
    end = watch(start("import sys; sys.exit(70)"), ScriptedLease())
    assert end == ProcessEnd(Cause.EXITED, 70, stop_request=None, memory_ran_out=False)


def test_it_beats_while_the_process_runs(start: Start) -> None:
    lease = ScriptedLease()
    assert watch(start("import time; time.sleep(1)"), lease).cause is Cause.EXITED
    assert lease.beats >= 3


def test_a_lost_lease_kills_the_process(start: Start) -> None:
    end = watch(start(SLEEP), ScriptedLease(HELD, LOST))
    assert (end.cause, end.returncode) == (Cause.LEASE_LOST, -signal.SIGKILL)


def test_a_process_that_closed_its_row_gets_time_to_exit(start: Start) -> None:
    end = watch(start("import time; time.sleep(0.5)"), ScriptedLease(HELD, LOST), replace(PACE, exit_grace_s=30))
    assert (end.cause, end.returncode) == (Cause.EXITED, 0)


def test_without_beats_the_process_is_killed_before_its_lease_ends(start: Start) -> None:
    began = time.monotonic()
    end = watch(start(SLEEP), ScriptedLease(HELD, None), replace(PACE, lease_s=2))
    assert (end.cause, end.returncode) == (Cause.LEASE_LOST, -signal.SIGKILL)
    assert time.monotonic() - began >= 2 * SELF_FENCE_SHARE - 0.1


def test_what_the_user_asks_for_replaces_a_drain(start: Start, log: Path) -> None:
    end = watch(start(ECHO_TWO_REQUESTS), ScriptedLease(*views("drain", "drain", "cancel", "cancel")))
    assert (end.cause, end.stop_request) == (Cause.EXITED, "cancel")
    assert log.read_text().split() == ["drain", "cancel"]


def test_a_drain_does_not_replace_what_the_user_asked_for(start: Start, log: Path) -> None:
    end = watch(start(ECHO_TWO_REQUESTS), ScriptedLease(*views("pause", "drain")), replace(PACE, stop_grace_s=1))
    assert (end.cause, end.stop_request) == (Cause.GRACE_OVER, "pause")
    assert log.read_text().split() == ["pause"]


def test_a_process_without_progress_has_stalled(start: Start) -> None:
    end = watch(start(SLEEP), ScriptedLease(LeaseView(held=True, progress=0.5)), replace(PACE, stall_s=0.5))
    assert (end.cause, end.stop_request) == (Cause.STALLED, None)


def test_progress_defers_a_stall(start: Start) -> None:
    moving = [LeaseView(held=True, progress=step) for step in range(1000)]
    end = watch(start("import time; time.sleep(1)"), ScriptedLease(*moving), replace(PACE, stall_s=0.5))
    assert end.cause is Cause.EXITED


def test_a_process_that_is_stopped_has_not_stalled(start: Start) -> None:
    process = start("pass")
    os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(3, os.kill, (process.pid, signal.SIGCONT)).start()
    assert watch(process, ScriptedLease(), replace(PACE, stall_s=1)).cause is Cause.EXITED


ASLEEP = """
import sys, time
from dataclasses import replace
from pathlib import Path
from tests.worker.test_leased_process import HELD, PACE, ScriptedLease, views, watch
from store.settings import Settings
from worker.process import SupervisedProcess
pace = replace(PACE, lease_s=6, stall_s=5, stop_grace_s=5)
lease = ScriptedLease(*views(*sys.argv[2:])) if sys.argv[2:] else ScriptedLease(HELD)
program = [sys.executable, "-c", f"import time; time.sleep(max(0, {time.monotonic() + 8} - time.monotonic()))"]
process = SupervisedProcess.start(program, Path(sys.argv[1]) / "log", Settings(data_dir=Path(sys.argv[1])))
print(process.pid, flush=True)
print(watch(process, lease, pace).cause, flush=True)
"""


@pytest.mark.parametrize("requests", [[], ["drain"]], ids=["at work", "asked to stop"])
@pytest.mark.long
def test_a_supervisor_that_slept_longer_than_a_lease_goes_on_if_it_is_still_its_own(
    requests: list[str], tmp_path: Path
) -> None:
    """Neither its beats, nor progress, nor a stop is late: the 7 s that both were stopped count for no one."""
    command = [sys.executable, "-c", ASLEEP, str(tmp_path), *requests]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        both = int(supervisor.stdout.readline()), supervisor.pid
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(7)
        for pid in both:
            os.kill(pid, signal.SIGCONT)
        assert supervisor.stdout.readline().strip() == Cause.EXITED


def test_an_abandoned_process_is_killed_at_once(start: Start) -> None:
    end = watch(start(SLEEP), ScriptedLease(), abandon=True)
    assert (end.cause, end.returncode) == (Cause.ABANDONED, -signal.SIGKILL)
