"""Whether freed memory is kept for reuse or returned to the kernel."""

from __future__ import annotations

import ctypes
import gc
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h
_NEVER = -1


def keep_freed_memory() -> bool:
    """Make glibc's allocator keep freed memory; returns whether it does (with another C library: no, harmlessly).

    By default it returns every freed block of more than 32 MiB, and free memory at the end of the heap, immediately. A
    training step frees and allocates its feature maps again thousands of times, and each time the kernel clears their
    pages: a third of a CPU step of AutoNL-S at 224 pixels (docs/speed.md). The cost: the process never shrinks.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _NEVER))


def return_freed_memory() -> None:
    """Return all free memory to the kernel and the GPU, for other processes or for allocations of other sizes."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU is in use
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
