"""The watchdog: it expires once, at its deadline, and never after it was stopped."""

from __future__ import annotations

import threading
import time

from worker.own_time import OwnTime
from worker.watchdog import Watchdog


def test_it_expires_at_a_deadline_that_is_not_renewed() -> None:
    expired = threading.Event()
    watchdog = Watchdog(time.monotonic() + 0.05, expired.set, OwnTime())
    assert expired.wait(5)
    watchdog.stop()
    assert watchdog.expired
    assert watchdog.left_s < 0


def test_a_renewal_moves_the_deadline() -> None:
    expired = threading.Event()
    watchdog = Watchdog(time.monotonic() + 0.5, expired.set, OwnTime())
    watchdog.renew(time.monotonic() + 60)
    assert not expired.wait(1)
    assert 50 < watchdog.left_s <= 60
    watchdog.stop()
    assert not watchdog.expired


def test_once_stopped_it_does_not_expire() -> None:
    expired = threading.Event()
    watchdog = Watchdog(time.monotonic() + 0.2, expired.set, OwnTime())
    watchdog.stop()
    assert not expired.wait(0.4)
    assert not watchdog.expired
