"""How kernels are compiled: for one thread and for several, cached on disk."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numba
from numba.core import config

_MAX_THREADS: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # numba defines its settings at run time
_one_at_a_time = threading.Lock()  # numba's own pool of threads, which it takes where TBB is missing, demands it


def _load_tbb() -> None:
    """Load TBB from its wheel, where it is installed: numba looks for it in the folders of the system only.

    Its threads wait for work without spinning, and it is the one pool in which the calling thread works too: on two
    cores, numba's own pool computes no faster than one thread.
    """
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == "libtbb.so.12":
            ctypes.CDLL(str(file.locate()), ctypes.RTLD_GLOBAL)


_load_tbb()

# A map's elements that are worked on together: they stay in the first-level cache with their result.
_CHUNK_ELEMENTS = 16_384
# Below this size of a map, waking other threads takes longer than they save.
_PARALLEL_ELEMENTS = 65_536

# Numba's cache notices changes in the file of a kernel only, not in the parts that it takes from others.
_SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., object])


class Compiled:
    """A kernel in two forms of the same code: its `prange` loops run in one thread, or in several.

    Sums are formed by chunk and chunks do not depend on the number of threads, so neither do results.
    """

    def __init__(self, kernel: Callable[..., None]) -> None:
        self.serial = _compile(_renamed(kernel, ""), parallel=False)
        self.parallel = _compile(_renamed(kernel, "_in_parallel"), parallel=True)

    @property
    def is_cached(self) -> bool:
        """Whether what is compiled outlives this process: a folder to keep it in is writable."""
        return self.serial.stats.cache_path is not None  # type: ignore[attr-defined]  # it is numba's dispatcher

    def __call__(self, threads: int, elements: int, *arguments: object) -> None:
        """Run on `arguments`. `elements`: size of the map, which decides whether several threads pay."""
        threads = min(threads, _MAX_THREADS)
        if threads == 1 or elements < _PARALLEL_ELEMENTS:
            self.serial(*arguments)
            return
        with _one_at_a_time:
            numba.set_num_threads(threads)
            self.parallel(*arguments)


def chunk_rows(row_elements: int) -> int:
    """Rows that are worked on together: as many as the cache holds."""
    return max(1, _CHUNK_ELEMENTS // row_elements)


def inner(function: AnyFunction) -> AnyFunction:
    """A part of kernels: compiled with them."""
    return _jit(function, cache=False, parallel=False)


def _renamed(kernel: Callable[..., None], suffix: str) -> Callable[..., None]:
    """A copy under a name of its own: the cache knows functions by name, whichever way and from what they are made."""
    name = f"{kernel.__name__}{suffix}_{_SOURCES.hexdigest()[:8]}"
    copy = FunctionType(kernel.__code__, kernel.__globals__, name)
    copy.__module__, copy.__qualname__ = kernel.__module__, copy.__name__
    return copy


def _compile(kernel: AnyFunction, *, parallel: bool) -> AnyFunction:
    try:
        return _jit(kernel, cache=True, parallel=parallel)
    except RuntimeError:  # no folder to cache in is writable: every process compiles for itself
        return _jit(kernel, cache=False, parallel=parallel)


def _jit(function: AnyFunction, *, cache: bool, parallel: bool) -> AnyFunction:
    """Contracted to fused multiply-adds, but never reordered: sums are the same on every run.

    numpy's error model: no check for a division by zero, which would keep loops from being vectorised.
    """
    jit = numba.njit(
        cache=cache, parallel=parallel, nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy"
    )
    compiled: Any = jit(function)
    return compiled
