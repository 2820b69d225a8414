"""How soon a thread that wakes gets a CPU that others are computing on."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys

# Of the kernel's limits, .1 to 100 ms, the smallest. Only the order of turns follows from it, not a thread's share.
_SLICE_NS = 100_000
_NUMBERS = {"x86_64": (314, 315), "aarch64": (274, 275)} if sys.platform == "linux" else {}
_SCHED_SETATTR, _SCHED_GETATTR = _NUMBERS.get(platform.machine(), (0, 0))  # 0: not known here
_POLICIES = (os.SCHED_OTHER, os.SCHED_BATCH) if sys.platform == "linux" else ()


class _Attributes(ctypes.Structure):
    """`struct sched_attr` of Linux, in its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),  # of an ordinary thread: its slice, from Linux 6.12 on; before, without effect
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def wake_promptly() -> bool:
    """Ask for short slices for the calling thread, and for threads and processes that it starts from now on.

    Threads that share a computation wait for each other thousands of times a second. Beside processes that compute
    without end, one that wakes waits for a slice of each of them; one with a shorter slice is served before them. It
    gets no more CPU time than otherwise. False: this system knows no slices, or does not let them be chosen.
    """
    attributes = _attributes()
    if attributes is None or attributes.policy not in _POLICIES:
        return False
    attributes.runtime_ns = _SLICE_NS
    return _call(_SCHED_SETATTR, ctypes.byref(attributes), 0)


def slice_ns() -> int:
    """The slice of the calling thread; 0: as the kernel chooses it, or it is not known."""
    attributes = _attributes()
    return attributes.runtime_ns if attributes else 0


def _attributes() -> _Attributes | None:
    attributes = _Attributes()
    known = _SCHED_GETATTR and _call(_SCHED_GETATTR, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    return attributes if known else None


def _call(number: int, *arguments: object) -> bool:
    """A system call about the calling thread. False if the kernel lacks or forbids it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, 0, *arguments) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG):
        return False
    raise OSError(code, os.strerror(code))
