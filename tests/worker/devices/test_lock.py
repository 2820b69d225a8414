"""Locks of GPUs between processes, and the record of those that are set aside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import wait_for
from worker.devices.lock import MAX_WAIT_S, DeviceLock, SetAside, count_set_aside

UUID = "GPU-1"
HOLDER = """
import subprocess, sys
from pathlib import Path
from worker.devices.lock import DeviceLock

lock = DeviceLock(Path(sys.argv[1]), "GPU-1")
assert lock.acquire()
search = subprocess.Popen(["sleep", "100"], pass_fds=[lock.descriptor])
print(search.pid, flush=True)
search.wait()
"""


def test_one_process_has_it_and_if_that_is_killed_its_search_process_still_does(tmp_path: Path) -> None:
    lock = DeviceLock(tmp_path, UUID)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        search_pid = int(holder.stdout.readline())
        assert not lock.acquire()
        holder.kill()
    assert not lock.acquire()
    os.kill(search_pid, 9)
    wait_for(lock.acquire, "the lock is free once its last process is gone")
    lock.close()


def test_it_is_free_again_after_a_release_even_if_a_process_that_waits_has_the_file(tmp_path: Path) -> None:
    first, second = DeviceLock(tmp_path, UUID), DeviceLock(tmp_path, UUID)
    assert first.acquire()
    assert not second.acquire()
    assert DeviceLock(tmp_path, "GPU-2").acquire()
    with subprocess.Popen(["sleep", "100"], pass_fds=[first.descriptor]) as waiting:
        first.release()
        assert second.acquire()
        waiting.kill()


def test_a_file_that_was_deleted_is_made_again_and_locked_by_one(tmp_path: Path) -> None:
    first, second = DeviceLock(tmp_path, UUID), DeviceLock(tmp_path, UUID)
    (tmp_path / "GPU-1.lock").unlink()
    assert second.acquire()
    assert not first.acquire()
    second.release()
    assert first.acquire()
    assert not second.acquire()


def test_waits_double_up_to_an_hour_and_end_with_a_probe_that_passes(tmp_path: Path) -> None:
    lock = DeviceLock(tmp_path, UUID)
    waits = []
    for number in range(1, 10):
        record = lock.set_aside("it fell off the bus", first_wait_s=60)
        waits.append(round(record.until - time.time()))
        assert record.failures == number
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert count_set_aside(tmp_path, (UUID, "GPU-2")) == 1
    assert DeviceLock(tmp_path, UUID).record() == record  # for every process of the host
    lock.clear()
    assert lock.record() is None
    assert count_set_aside(tmp_path, (UUID, "GPU-2")) == 0


@pytest.mark.parametrize(("seconds", "lasts"), [(-1, False), (10, True), (MAX_WAIT_S + 60, False)])
def test_a_clock_that_is_set_back_does_not_prolong_a_wait(seconds: float, lasts: bool) -> None:
    assert SetAside(1, time.time() + seconds, "").lasts() is lasts


@pytest.mark.parametrize("text", ["", "[1,", '{"failures": 1}', "[1]", "7"])
def test_a_record_that_is_being_written_counts_as_none(tmp_path: Path, text: str) -> None:
    lock = DeviceLock(tmp_path, UUID)
    (tmp_path / "GPU-1.lock").write_text(text)
    assert lock.record() is None
