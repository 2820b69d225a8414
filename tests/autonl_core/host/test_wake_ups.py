"""How soon a thread that wakes gets a CPU: its slice, read back from the kernel."""

from __future__ import annotations

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from autonl_core.host import wake_ups
from autonl_core.host.wake_ups import wake_promptly

PROGRAM = """
import os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from autonl_core.host.wake_ups import slice_ns, wake_promptly

os.nice(3)
chosen = slice_ns()
if not wake_promptly():
    raise SystemExit("not offered")
with ThreadPoolExecutor(1) as threads:
    of_thread = threads.submit(slice_ns).result()
read = "from autonl_core.host.wake_ups import slice_ns; print(slice_ns())"
of_child = int(subprocess.run([sys.executable, "-c", read], capture_output=True, check=True).stdout)
print(chosen > slice_ns() or chosen == 0, slice_ns(), of_thread, of_child, os.nice(0))
"""


def test_threads_and_processes_started_later_have_the_short_slice_and_the_nice_value_stays() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    if done.returncode:
        assert (done.stderr, wake_ups.slice_ns()) == ("not offered\n", 0)  # a kernel that shows slices lets them be set
        return
    assert done.stdout == "True 100000 100000 100000 3\n" or done.stdout.split()[1:4] == ["0", "0", "0"]  # before 6.12


def test_a_system_without_the_call_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_ups, "_SCHED_GETATTR", 0)
    assert not wake_promptly()
    assert wake_ups.slice_ns() == 0


def test_a_policy_that_is_not_an_ordinary_one_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_ups, "_POLICIES", ())
    with ThreadPoolExecutor(1) as threads:
        before = threads.submit(wake_ups.slice_ns).result()
        assert threads.submit(wake_promptly).result() is False
        assert threads.submit(wake_ups.slice_ns).result() == before


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM])
def test_a_kernel_that_refuses_is_no_error(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def syscall(self, *_: object) -> int:
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: Refusing())
    monkeypatch.setattr("ctypes.get_errno", lambda: code)
    monkeypatch.setattr(wake_ups, "_SCHED_GETATTR", 315)
    monkeypatch.setattr(wake_ups, "_SCHED_SETATTR", 314)
    assert not wake_promptly()
