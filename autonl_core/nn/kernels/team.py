"""A kernel run by several threads at once: by those of PyTorch's own OpenMP, which are there and asleep between uses.

A pool of other threads, such as Numba's, competes with them for the processor at every change from an operator to a
kernel and back: on two cores a training step spent a sixth of its time waking threads. Where PyTorch comes without
OpenMP's functions of the GNU compiler, `TEAMS` is False, and kernels run in the thread that calls them.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # typed nowhere
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_NAMES = ("GOMP_parallel", "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads")
_INT32, _BYTES = ir.IntType(32), ir.IntType(8).as_pointer()
_TASK = ir.FunctionType(ir.VoidType(), [_BYTES])
_PARALLEL = ir.FunctionType(ir.VoidType(), [_TASK.as_pointer(), _BYTES, _INT32, _INT32])


def _openmp() -> ctypes.CDLL | None:
    """The library that PyTorch brings, loaded once for both; found without loading PyTorch."""
    found = importlib.util.find_spec("torch")
    for folder in (found and found.submodule_search_locations) or ():
        for file in sorted((*Path(folder, "lib").glob("lib*omp*"), *Path(f"{folder}.libs").glob("lib*omp*"))):
            library = ctypes.CDLL(str(file))
            if all(hasattr(library, name) for name in _NAMES):
                return library
    return None


def _bind(library: ctypes.CDLL | None) -> bool:
    """Let compiled code call the library by its functions' names; without one, what it never calls is still named."""
    missing = ctypes.CFUNCTYPE(None)(lambda: None)
    _kept.append(missing)
    for name in _NAMES:
        function = getattr(library, name) if library else missing
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    return library is not None


_kept: list[object] = []  # what compiled code may hold the address of
TEAMS = _bind(_openmp())

thread_number: Any = types.ExternalFunction("omp_get_thread_num", types.int32())
team_size: Any = types.ExternalFunction("omp_get_num_threads", types.int32())
barrier: Any = types.ExternalFunction("GOMP_barrier", types.void())


def team_of(kernel: Callable[..., None]) -> Any:
    """(threads, arguments) -> runs the compiled `kernel` with (number of the thread, size of the team, *arguments).

    Returns when all threads have. For compiled code only. `arguments` is a tuple of numbers.
    """

    def call(arguments: Any) -> None:
        kernel(thread_number(), team_size(), *arguments)

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        threads, arguments = values
        memory = cgutils.alloca_once_value(builder, arguments)
        task = ir.Function(builder.module, _TASK, builder.module.get_unique_name("task"))
        task.linkage = "internal"
        inside = ir.IRBuilder(task.append_basic_block())
        read = inside.load(inside.bitcast(task.args[0], memory.type))
        inner = types.void(signature.args[1])
        compiled = context.compile_subroutine(inside, call, inner)
        context.call_internal_no_propagate(inside, compiled.fndesc, inner, [read])  # kernels raise nothing
        inside.ret_void()
        start = cgutils.get_or_insert_function(builder.module, _PARALLEL, "GOMP_parallel")
        data = builder.bitcast(memory, _BYTES)
        builder.call(start, [task, data, builder.trunc(threads, _INT32), ir.Constant(_INT32, 0)])
        return context.get_dummy_value()

    def run(_: Any, threads: Any, arguments: Any) -> tuple[Any, Any]:
        return types.void(types.int64, arguments), generate

    return intrinsic(run)
