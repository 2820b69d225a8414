"""How kernels are compiled, cached on disk, and run: by one thread or by a team.

A kernel is a function (thread, threads, *numbers): addresses of dense arrays, sizes and constants. It takes its
`share` of what is to be done, and where it needs what the others do it waits for `all_threads`. Nothing is checked in
it; who calls it, has to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from autonl_core.nn.kernels.team import TEAMS, barrier, team_of

# A map's elements that are worked on together: they stay in the first-level cache with their result.
_CHUNK_ELEMENTS = 16_384
# Below this size of a map, waking other threads takes longer than they save.
_PARALLEL_ELEMENTS = 65_536

# Numba's cache notices changes in the file of a kernel only, not in the parts that it takes from others.
_SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))

Number = float | np.floating[Any] | tuple[int, ...]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., object])


class Compiled:
    """A kernel, compiled, and what runs it in a team.

    Sums are formed by chunk, and chunks do not depend on the number of threads, so neither do results.
    """

    def __init__(self, kernel: Callable[..., None]) -> None:
        self.alone = _compile(_renamed(kernel, kernel.__globals__, kernel.__name__))
        parts = {"_run": team_of(self.alone)}  # no closure: of that, the cache would know no other process's
        self.together = _compile(_renamed(_together, parts, f"{kernel.__name__}_together"))

    @property
    def is_cached(self) -> bool:
        """Whether what is compiled outlives this process: a folder to keep it in is writable."""
        return self.alone.stats.cache_path is not None

    def __call__(self, threads: int, elements: int, *numbers: Number) -> None:
        """Run with at most so many threads. `elements`: size of the map, which decides whether several pay."""
        if threads == 1 or elements < _PARALLEL_ELEMENTS or not TEAMS:
            self.alone(0, 1, *numbers)
        else:
            self.together(threads, *numbers)


def _together(threads: int, *numbers: Number) -> None:
    _run(threads, numbers)  # type: ignore[name-defined]  # noqa: F821  # given to each copy of this function


def chunk_rows(row_elements: int) -> int:
    """Rows that are worked on together: as many as the cache holds."""
    return max(1, _CHUNK_ELEMENTS // row_elements)


def _renamed(function: Any, names: dict[str, Any], name: str) -> Any:
    """A copy under a name of its own: the cache knows functions by name, whichever way and from what they are made."""
    copy = FunctionType(function.__code__, names, f"{name}_{_SOURCES.hexdigest()[:8]}", function.__defaults__)
    copy.__module__, copy.__qualname__ = function.__module__, copy.__name__
    return copy


def _compile(kernel: AnyFunction) -> AnyFunction:
    try:
        return _jit(kernel, cache=True)
    except RuntimeError:  # no folder to cache in is writable: every process compiles for itself
        return _jit(kernel, cache=False)


def _jit(function: AnyFunction, *, cache: bool) -> AnyFunction:
    """Contracted to fused multiply-adds, but never reordered: sums are the same on every run.

    numpy's error model: no check for a division by zero, which would keep loops from being vectorised.
    """
    jit = numba.njit(cache=cache, nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
    compiled: Any = jit(function)
    return compiled


def inner(function: AnyFunction) -> AnyFunction:
    """A part of kernels: compiled with them."""
    return _jit(function, cache=False)


@inner
def share(thread: int, threads: int, count: int) -> tuple[int, int]:
    """The first of `count` pieces that are this thread's, and the first that is not. Neighbours stay together."""
    return count * thread // threads, count * (thread + 1) // threads


@inner
def all_threads(threads: int) -> None:
    """Wait until all of them are here; what they wrote can then be read."""
    if threads > 1:
        barrier()


def _address(_: Any, address: Any, like: Any) -> tuple[Any, Any]:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(types.int64, like), generate


pointer: Any = intrinsic(_address)  # (address, number) -> what `carray` takes: numbers of that type lie there
