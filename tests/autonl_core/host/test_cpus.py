"""The CPUs that a process may use: its affinity, and the quotas of its control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autonl_core.host import cpus as host_cpus
from autonl_core.host.cpus import available_cpus, cpu_crowding


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control group `inner` in a group `outer`, of version 2, for a process that may use eight CPUs."""
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (tmp_path / "fs" / "outer" / "inner").mkdir(parents=True)
    monkeypatch.setattr(host_cpus, "_OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(host_cpus, "_CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path / "fs"


@pytest.mark.parametrize(
    ("outer", "inner", "cpus"),
    [
        ("max 100000", "max 100000", 8),
        ("max 100000", "200000 100000", 2),
        ("300000 100000", "max 100000", 3),
        ("300000 100000", "600000 100000", 3),
        ("max 100000", "150000 100000", 2),  # one and a half: two threads, each for three quarters of the time
        ("max 100000", "20000 100000", 1),
        ("max 100000", "1600000 100000", 8),
        ("max 100000", "not numbers", 8),
    ],
)
def test_the_smallest_quota_counts(groups: Path, outer: str, inner: str, cpus: int) -> None:
    (groups / "outer" / "cpu.max").write_text(f"{outer}\n")
    (groups / "outer" / "inner" / "cpu.max").write_text(f"{inner}\n")
    assert available_cpus() == cpus


@pytest.mark.parametrize(("quota_us", "cpus"), [(-1, 8), (250_000, 3)])
def test_quotas_of_version_1_count_too(groups: Path, quota_us: int, cpus: int) -> None:
    host_cpus._OWN_CGROUP.write_text("4:memory:/elsewhere\n3:cpu,cpuacct:/job\n")
    (groups / "cpu" / "job").mkdir(parents=True)
    (groups / "cpu" / "job" / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
    (groups / "cpu" / "job" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus() == cpus


def test_without_control_groups_the_affinity_counts(groups: Path) -> None:
    host_cpus._OWN_CGROUP.unlink()
    assert available_cpus() == 8


def test_a_process_bound_to_one_cpu_has_one() -> None:
    bound = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from autonl_core.host.cpus import available_cpus; print(available_cpus())"
    )
    assert subprocess.run([sys.executable, "-c", bound], capture_output=True, text=True, check=True).stdout == "1\n"


def test_waiting_threads_sleep_unless_the_user_says_otherwise() -> None:
    program = (
        "from autonl_core.host.cpus import let_waiting_threads_sleep; let_waiting_threads_sleep();"
        "import subprocess; print(subprocess.run(['printenv', 'OMP_WAIT_POLICY'], capture_output=True).stdout.decode())"
    )
    for policy, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | policy
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize(("load", "cpus", "crowding"), [(0.2, 2, 1.0), (2.0, 2, 1.0), (7.0, 2, 3.5), (7.0, None, 7.0)])
def test_how_many_want_each_cpu(
    load: float, cpus: int | None, crowding: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    assert cpu_crowding() == crowding
