"""What becomes of memory that was freed: kept for reuse, or handed back to the kernel."""

from __future__ import annotations

import ctypes
import gc
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_NEVER = -1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to hand no memory back to the kernel; whether it agreed (elsewhere: no, and no harm done).

    By default it returns every freed block of more than 32 MiB, and what is free at the heap's end, at once. A training
    step frees and takes its maps again thousands of times, and each time the kernel clears their pages anew: a third of
    a CPU step of AutoNL-S at 224 pixels (docs/speed.md). The price: the process stays as large as it ever was.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _NEVER))


def return_freed_memory() -> None:
    """Hand back to the kernel, and to the GPU, whatever is free: memory ran out, and others need it in other pieces."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU is in use
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
