"""300,000 images in tar shards: checked within 2 GB, by all cores, and resumed after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.autonl_core.dataset_check.many_shards import make_shards
from tests.reliability.service import ROOT

IMAGES = 300_000
MAX_BYTES = 2 << 30
PORTIONS = -(-IMAGES // 256)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Run:
    """A check in a session of its own, and the most memory that all its processes had at one time."""

    def __init__(self, folder: Path, work: Path, saved: Path) -> None:
        for path in (work, saved):
            path.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.autonl_core.dataset_check.many_shards"]
        self.process = subprocess.Popen(
            [*command, str(folder), str(work), str(saved)], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
        )
        self.peak_bytes = self.most_processes = 0

    def watch_until(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            sizes = [size for size in map(resident_bytes, self._pids()) if size]
            self.peak_bytes = max(self.peak_bytes, sum(sizes))
            self.most_processes = max(self.most_processes, len(sizes))
            time.sleep(0.2)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _pids(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(path.read_text().rpartition(")")[2].split()[3]) == self.process.pid:  # the session
                    found.append(int(path.parent.name))
        return found


def resident_bytes(pid: int) -> int:
    """Of one process; what it shares with others counts in each. 0: it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured as Linux tells it")
def test_many_images_in_shards_are_checked_within_2_gb_and_not_opened_twice(tmp_path: Path) -> None:
    folder, saved = make_shards(tmp_path / "shards", IMAGES), tmp_path / "saved"
    first = Run(folder, tmp_path / "work", saved)
    first.watch_until(lambda: first.process.poll() is not None or saved_portions(saved) >= PORTIONS // 2)
    assert first.process.poll() is None, "it ended before it could be killed"
    first.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in saved.iterdir()}
    second = Run(folder, tmp_path / "work again", saved)
    second.watch_until(lambda: second.process.poll() is not None)
    found = json.loads(second.process.communicate()[0])
    print(json.dumps(found | {"peaks": [first.peak_bytes, second.peak_bytes], "kept": len(kept)}))
    assert (found["errors"], found["images"]) == ([], IMAGES)
    assert max(first.peak_bytes, second.peak_bytes) < MAX_BYTES
    complete = {name: at for name, at in kept.items() if name.rpartition("-")[2].isdigit()}
    assert len(complete) >= PORTIONS // 2
    assert all((saved / name).stat().st_mtime_ns == at for name, at in complete.items())  # none was opened again
    assert first.most_processes >= 1 + len(os.sched_getaffinity(0))


def saved_portions(folder: Path) -> int:
    return sum(path.name.rpartition("-")[2].isdigit() for path in folder.iterdir())
