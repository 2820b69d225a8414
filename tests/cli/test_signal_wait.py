"""A wait that a signal ends: `autonl up` sleeps as long as none arrives."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from cli.signal_wait import signal_wait

LONG_S = 60.0


def test_the_end_of_a_child_ends_a_wait() -> None:
    began = time.monotonic()
    with signal_wait() as signals, subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        while child.poll() is None:
            signals.wait(LONG_S)
    assert time.monotonic() - began < LONG_S


def test_a_signal_that_arrived_before_a_wait_ends_it_and_only_it() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with signal_wait() as signals:
            signal.raise_signal(signal.SIGUSR1)
            began = time.monotonic()
            signals.wait(LONG_S)
            assert time.monotonic() - began < LONG_S
            began = time.monotonic()
            signals.wait(0.1)
            assert time.monotonic() - began >= 0.1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
