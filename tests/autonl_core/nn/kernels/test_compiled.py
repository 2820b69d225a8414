"""Kernels in two forms: which one runs, what the cache keeps of each, and one caller at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from autonl_core.nn.kernels.compiled import Compiled
from autonl_core.nn.kernels.depthwise import weight_gradient

FIRST_FORM = (
    "import sys; from autonl_core.nn.kernels.__main__ import compile_all; compile_all();"
    "import numba; print(numba.threading_layer())"
)


def test_a_process_that_loads_a_network_and_never_trains_it_does_without_numba() -> None:
    program = (
        "import sys; import autonl_core.nn.checkpoint, autonl_core.supernet.supernet; print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_several_threads_are_asked_for_large_maps_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autonl_core.nn.kernels.compiled._MAX_THREADS", 2)
    monkeypatch.setattr("numba.set_num_threads", lambda _: None)
    taken: list[str] = []
    kernel = Compiled.__new__(Compiled)
    kernel.serial, kernel.parallel = lambda: taken.append("serial"), lambda: taken.append("parallel")
    for threads, elements in ((1, 10**6), (2, 1_000), (2, 10**6)):
        kernel(threads, elements)
    assert taken == ["serial", "serial", "parallel"]


@pytest.mark.long
def test_the_form_for_several_threads_is_not_taken_for_the_other_one_in_the_cache(tmp_path: Path) -> None:
    """Both come from one function, by whose name the cache knows them; the second process reads what the first left."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", FIRST_FORM], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() in ("tbb", "omp", "workqueue")  # numba raises if no threads were ever needed


def test_two_callers_at_once_do_not_disturb_each_other() -> None:
    x = np.random.default_rng(0).normal(size=(16, 32, 32, 16)).astype(np.float32)
    expected = np.zeros((5, 5, 16), np.float32)
    weight_gradient(1, x.size, x, x, 1, 2, expected)
    results = [np.zeros_like(expected) for _ in range(4)]

    def compute(result: np.ndarray) -> None:
        for _ in range(20):
            weight_gradient(2, x.size, x, x, 1, 2, result)

    callers = [threading.Thread(target=compute, args=(result,)) for result in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert all(np.array_equal(result, expected) for result in results)
