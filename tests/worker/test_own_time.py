"""Own time stands still while a process is stopped; a sleep detector notices that it was, and jumps of the clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers import is_frozen, wait_for
from worker.own_time import READ_S, OwnTime, SleepDetector

STOPPED_S = 4.0


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still in the `with` block."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: is_frozen(pid), "it stands still")
    yield
    os.kill(pid, signal.SIGCONT)


def printed_around_a_stop(program: str) -> float:
    """The number that a program prints, which is stopped for `STOPPED_S` after its first line."""
    command = [sys.executable, "-c", f"import time; from worker.own_time import *; {program}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with stopped(process.pid):
            time.sleep(STOPPED_S)
        return float(process.stdout.readline())


def test_time_in_which_a_process_was_stopped_hardly_counts() -> None:
    """Read every tenth of a second for two seconds of its own."""
    spent_s = printed_around_a_stop(
        "own, began = OwnTime(), time.monotonic(); start = own.read(); print(flush=True)\n"
        "while own.read() - start < 2: time.sleep(0.1)\n"
        "print(time.monotonic() - began, flush=True)"
    )
    assert 2 + STOPPED_S - 1.5 * READ_S <= spent_s <= 2 + STOPPED_S + 1


def test_otherwise_it_is_the_monotonic_clock() -> None:
    own = OwnTime()
    for _ in range(3):
        time.sleep(0.2)
        assert own.read() == pytest.approx(time.monotonic(), abs=0.1)


def test_a_detector_notices_that_its_process_was_stopped() -> None:
    slept = "detector = SleepDetector(2); print(flush=True)\nwhile not detector.slept(): time.sleep(0.1)\n"
    assert printed_around_a_stop(slept + "print(float(detector.slept()), flush=True)") == 0  # once is enough


def test_a_detector_notices_a_clock_that_jumps_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, ahead_s, of_the_host = SleepDetector(30), 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: of_the_host() + ahead_s)
    assert not detector.slept()
    ahead_s = 60.0
    assert [detector.slept(), detector.slept()] == [True, False]
