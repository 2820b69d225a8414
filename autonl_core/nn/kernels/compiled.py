"""How kernels are compiled, cached on disk, and run: by one thread or by a team.

A kernel is a function of one address, at which its `arguments` lie: addresses of dense arrays, sizes and constants. It
takes its `share` of what is to be done, and where it needs what the others do it waits for `all_threads`. Nothing is
checked in it; who calls it, has to.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from autonl_core.nn.kernels.team import TEAMS, barrier, run_in_team, team_size, thread_number

# A map's elements that are worked on together: they stay in the first-level cache with their result.
_CHUNK_ELEMENTS = 16_384
# Below this size of a map, waking other threads takes longer than they save.
_PARALLEL_ELEMENTS = 65_536

# Numba's cache notices changes in the file of a kernel only, not in the parts that it takes from others.
_SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy"}
_one_compiles = threading.Lock()

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., object])
ONE: Any = np.float32(1)  # in kernels: 1 in the type of the arrays, which has to be known when one is compiled


def arguments(names: str, real: str = "") -> np.dtype[Any]:
    """How a kernel's arguments lie in memory: integers of these names, then perhaps one real number."""
    fields = [(name, np.int64) for name in names.split()]
    return np.dtype([*fields, (real, np.float64)] if real else fields)


class Compiled:
    """A kernel, compiled for the type of its arrays when it is first run.

    Contracted to fused multiply-adds, but never reordered: sums are the same on every run. They are formed by chunk,
    and chunks do not depend on the number of threads, so neither do results.
    """

    def __init__(self, kernel: Callable[[int], None], given: np.dtype[Any]) -> None:
        self._kernel, self._given = kernel, given
        self._tasks: dict[type, Any] = {}

    def __call__(self, threads: int, elements: int, numbers: tuple[float, ...], one: Any = ONE) -> None:
        """Run on `numbers`, in the order of its arguments, with at most so many threads.

        `elements`: size of the map, which decides whether several threads pay. `one`: 1 in the type of the arrays.
        """
        task = self._tasks.get(type(one)) or self.compile_for(one)
        given = np.array(numbers, self._given)
        if threads == 1 or elements < _PARALLEL_ELEMENTS or not TEAMS:
            task.ctypes(given.ctypes.data)
        else:
            run_in_team(threads, task.address, given.ctypes.data)

    @property
    def can_be_cached(self) -> bool:
        """Whether what is compiled outlives this process: a folder to keep it in is writable."""
        try:
            FunctionCache(self._kernel)
        except RuntimeError:
            return False
        return True

    def compile_for(self, one: Any = ONE) -> Any:
        """The kernel as a C function of Numba's, for arrays of the type of `one`."""
        with _one_compiles:
            if type(one) not in self._tasks:
                compiler = numba.cfunc(types.void(types.intp), cache=self.can_be_cached, **_OPTIONS)
                self._tasks[type(one)] = compiler(_renamed(self._kernel, one))
            return self._tasks[type(one)]


def chunk_rows(row_elements: int) -> int:
    """Rows that are worked on together: as many as the cache holds."""
    return max(1, _CHUNK_ELEMENTS // row_elements)


def inner(function: AnyFunction) -> AnyFunction:
    """A part of kernels: compiled with them."""
    compiled: Any = numba.njit(**_OPTIONS)(function)
    return compiled


@inner
def share(count: int) -> tuple[int, int]:
    """The first of `count` pieces that are this thread's, and the first that is not. Neighbours stay together."""
    thread, threads = thread_number(), team_size()
    return count * thread // threads, count * (thread + 1) // threads


@inner
def all_threads() -> None:
    """Wait until all of them are here; what they wrote can then be read."""
    if team_size() > 1:
        barrier()


def _address(_: Any, address: Any, like: Any) -> tuple[Any, Any]:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    what = like.dtype if isinstance(like, types.DType) else like
    return types.CPointer(what)(types.int64, like), generate


pointer: Any = intrinsic(_address)  # (address, a number or a type) -> what `carray` takes: such lie there


def _renamed(kernel: Any, one: Any) -> Any:
    """A copy for arrays of one type, under a name of its own: by that, the cache knows it."""
    name = f"{kernel.__name__}_{np.dtype(type(one)).name}_{_SOURCES.hexdigest()[:8]}"
    copy = FunctionType(kernel.__code__, kernel.__globals__ | {"ONE": one}, name)
    copy.__module__, copy.__qualname__ = kernel.__module__, name
    return copy
