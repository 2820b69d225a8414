"""What a process may do as root, and who may look into a process."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 4, 24
_VERSION_3 = 0x20080522  # of the arguments of capget and capset: 64 capabilities in two halves
_HIGHEST = 63
_FILES_OF_ANYBODY = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: datasets may belong to other users


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Half(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def hide_environment() -> None:
    """Let no other process of this user read the memory and the environment of this one, which names services.

    Holds until the program is replaced. Linux only; root can still read both.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def drop_capabilities() -> str | None:
    """Keep of root's rights only those over files, permanently; returns why that is not possible. Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, halves = _Header(_VERSION_3, 0), (_Half * 2)()
    if libc.capget(ctypes.byref(header), halves) != 0:
        return os.strerror(ctypes.get_errno())
    if not any(half.permitted for half in halves):
        return None  # an ordinary user has none, and programs that it starts get none
    for capability in range(_HIGHEST + 1):
        if not 1 << capability & _FILES_OF_ANYBODY:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for those that the kernel does not know
    kept = halves[0].permitted & _FILES_OF_ANYBODY
    halves[0], halves[1] = _Half(kept, kept, 0), _Half(0, 0, 0)
    return None if libc.capset(ctypes.byref(header), halves) == 0 else os.strerror(ctypes.get_errno())
