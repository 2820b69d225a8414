"""Kernels, alone and in teams: which one runs, how its threads meet, and what the cache keeps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba.np.numpy_support import carray

from autonl_core.nn.kernels.compiled import ONE, Compiled, all_threads, arguments, pointer, share
from tests.autonl_core.nn.kernels.test_depthwise import gradient

LIBRARIES = """
import autonl_core.nn.kernels.__main__ as kernels
from autonl_core.nn.kernels.team import TEAMS

def loaded(name):
    return {line.split()[-1] for line in open("/proc/self/maps") if name in line}

kernels.compile_all()
print(TEAMS, len(loaded("libtorch")))
import torch
torch.ones(10**6).sum()
print(len(loaded("omp.so")), len(loaded("libtorch")) > 0)
"""
FROM_CACHE = """
from autonl_core.nn.kernels.inference import pointwise
print(pointwise.compile_for().cache_hits, pointwise.can_be_cached)
"""
ADD_ALL = arguments("written sums count")


def _add_all(at: int) -> None:
    given = carray(pointer(at, ADD_ALL), (1,))[0]
    written, sums = (
        carray(pointer(given.written, ONE), (given.count,)),
        carray(pointer(given.sums, ONE), (given.count,)),
    )
    first, last = share(given.count)
    for place in range(first, last):
        written[place] = place + 1
    all_threads()
    for place in range(first, last):
        for i in range(given.count):
            sums[place] += written[i]


add_all, ones = Compiled(_add_all, ADD_ALL), np.float64(1)


@pytest.mark.long
def test_a_process_that_loads_a_network_and_never_trains_it_does_without_numba() -> None:
    program = (
        "import sys; import autonl_core.nn.checkpoint, autonl_core.supernet.supernet; print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("teams", [True, False])
def test_a_team_is_asked_for_large_maps_only_and_where_there_is_one(
    teams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def run_in_team(threads: int, task: int, data: int) -> None:
        asked.append(threads)

    monkeypatch.setattr("autonl_core.nn.kernels.compiled.TEAMS", teams)
    monkeypatch.setattr("autonl_core.nn.kernels.compiled.run_in_team", run_in_team)
    numbers = np.zeros(1), np.zeros(1)
    for threads, elements in ((1, 10**6), (2, 1_000), (2, 10**6)):
        add_all(threads, elements, (*(array.ctypes.data for array in numbers), 1), ones)
    assert asked == ([2] if teams else [])


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 64])
def test_shares_cover_everything_once(count: int, threads: int) -> None:
    written, sums = np.zeros(count), np.zeros(count)
    add_all(threads, 10**6, (written.ctypes.data, sums.ctypes.data, count), ones)
    assert written.tolist() == list(range(1, count + 1))
    assert sums.tolist() == [count * (count + 1) / 2] * count  # one addition more for each time that a place is taken


def test_every_thread_of_a_team_waits_for_all_others() -> None:
    """Each writes its number, waits, and then adds up what all have written."""
    threads = 5
    written, sums = np.zeros(threads), np.zeros(threads)
    for _ in range(200):
        written[:] = sums[:] = 0
        add_all(threads, 10**6, (written.ctypes.data, sums.ctypes.data, threads), ones)
        assert sums.tolist() == [15.0] * threads  # 1 + 2 + 3 + 4 + 5


@pytest.mark.long
def test_pytorch_and_kernels_share_their_threads() -> None:
    """One OpenMP library in the process, so that no second pool competes; PyTorch itself is not loaded for it."""
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0", "1", "True"]


@pytest.mark.long
def test_another_process_finds_everything_compiled(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", FROM_CACHE], env=environment, capture_output=True, text=True, check=True
        )
        found.append(done.stdout.split())
    assert found == [["0", "True"], ["1", "True"]]


def test_two_callers_at_once_do_not_disturb_each_other() -> None:
    x = np.random.default_rng(0).normal(size=(16, 32, 32, 16)).astype(np.float32)
    expected = gradient(x, x, 5, 1)
    results: list[np.ndarray] = []

    def compute() -> None:
        results.extend(gradient(x, x, 5, 1, threads=2) for _ in range(20))

    callers = [threading.Thread(target=compute) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert len(results) == 80
    assert all(np.array_equal(result, expected) for result in results)
