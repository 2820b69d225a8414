"""A kernel run by several threads at once: by those of PyTorch's own OpenMP, which are there and asleep between uses.

A pool of other threads, such as Numba's, competes with them for the processor at every change from an operator to a
kernel and back: on two cores a training step spent a sixth of its time waking threads. Where PyTorch comes without
OpenMP's functions of the GNU compiler, kernels run in the thread that calls them.
"""

from __future__ import annotations

import ctypes
import importlib.util
from itertools import product
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # typed nowhere
from numba import types

_NAMES = ("GOMP_parallel", "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads")
thread_number: Any = types.ExternalFunction("omp_get_thread_num", types.int32())
team_size: Any = types.ExternalFunction("omp_get_num_threads", types.int32())
barrier: Any = types.ExternalFunction("GOMP_barrier", types.void())


def _openmp() -> ctypes.CDLL | None:
    """The library that PyTorch brings, loaded once for both; found without loading PyTorch."""
    found = importlib.util.find_spec("torch")
    for folder in (found and found.submodule_search_locations) or ():
        places = product((Path(folder, "lib"), Path(f"{folder}.libs")), ("libgomp*", "libomp*", "libiomp*"))
        for file in (file for place, pattern in places for file in sorted(place.glob(pattern))):
            library = ctypes.CDLL(str(file))
            if all(hasattr(library, name) for name in _NAMES):
                return library
    return None


def _one() -> int:
    """The size of every team where there is no OpenMP."""
    return 1


def _zero() -> int:
    """The number of the thread, and what a barrier returns, where there is no OpenMP."""
    return 0


_ALONE = {name: ctypes.CFUNCTYPE(ctypes.c_int)(_one if name == "omp_get_num_threads" else _zero) for name in _NAMES}
_LIBRARY = _openmp()
TEAMS = _LIBRARY is not None
for _name in _NAMES:  # what compiled code calls by name
    _function = _ALONE[_name] if _LIBRARY is None else getattr(_LIBRARY, _name)
    llvm.add_symbol(_name, ctypes.cast(_function, ctypes.c_void_p).value)


def run_in_team(threads: int, task: int, data: int) -> None:
    """Call the function at the address `task` with `data` in every thread of a team; returns when all have."""
    assert _LIBRARY is not None
    _LIBRARY.GOMP_parallel(ctypes.c_void_p(task), ctypes.c_void_p(data), ctypes.c_uint(threads), ctypes.c_uint(0))
