"""How a worker learns that memory ran out: from the kernel's count of kills, in both formats that Linux has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from store.states import ExitClass
from worker.exit_codes import describe_crash
from worker.memory import memory_kills


@pytest.mark.parametrize(
    ("membership", "file", "content"),
    [
        ("0::/work.slice\n", "work.slice/memory.events", "low 0\noom 3\noom_kill 2\n"),
        ("0::/\n", "memory.events", "oom 3\noom_kill 2\n"),  # a container sees its own group as the root
        ("9:cpu:/a\n4:memory:/docker/b\n", "memory/docker/b/memory.oom_control", "under_oom 0\noom_kill 2\n"),
        ("4:hugetlb,memory:/docker/b\n", "memory/memory.oom_control", "under_oom 0\noom_kill 2\n"),
    ],
)
def test_the_count_is_read_where_the_kernel_keeps_it(membership: str, file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text(membership)
    path = tmp_path / "fs" / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert memory_kills(tmp_path / "cgroup", tmp_path / "fs") == 2


def test_a_host_without_a_count_is_not_an_error(tmp_path: Path) -> None:
    assert memory_kills(tmp_path / "nothing", tmp_path) == 0
    (tmp_path / "cgroup").write_text("0::/work.slice\n")
    assert memory_kills(tmp_path / "cgroup", tmp_path) == 0


def test_only_a_kill_that_the_kernel_counted_is_out_of_memory() -> None:
    assert describe_crash(-9, "", memory_ran_out=True)[0] is ExitClass.OUT_OF_MEMORY
    assert describe_crash(-9, "", memory_ran_out=False)[0] is ExitClass.KILLED
    assert describe_crash(-11, "", memory_ran_out=True)[0] is ExitClass.CRASHED


def test_a_limited_process_gets_a_memory_error() -> None:
    program = "from worker.memory import limit_memory; limit_memory(1 << 30); bytearray(2 << 30)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == "MemoryError"
