"""Taking rights away from this process before it opens files of strangers: sockets, other processes, other files.

All of it holds for every process that this one starts, and none of it can be taken back. It needs no privileges. What
a kernel does not offer is named, and the rest holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autonl_core.host.capabilities import drop_capabilities, hide_environment

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
_LANDLOCK_VERSION_FLAG, _LANDLOCK_PATH_BENEATH = 1, 1
# From landlock.h: write a file; remove a folder, a file; make a folder, a file; link or rename across folders (version
# 2); truncate (version 3). Devices, sockets, pipes and symbolic links can be made nowhere.
_WRITING = sum(1 << bit for bit in (1, 4, 5, 7, 8))
_WRITING_SINCE = {2: 1 << 13, 3: 1 << 14}
_NOWHERE = sum(1 << bit for bit in (6, 9, 10, 11, 12))
_READING = 1 << 2 | 1 << 3  # read a file, list a folder
_ON_FILES = 1 << 1 | 1 << 2 | 1 << 14  # of all these, what applies to a file that is no folder
_BIND_AND_CONNECT_TCP, _ABSTRACT_SOCKETS_AND_SIGNALS = 0b11, 0b11
_ALWAYS_WRITABLE = Path("/dev/null")

# Numbers of system calls: socket, ptrace, process_vm_readv, process_vm_writev, pidfd_getfd, io_uring_setup. The last
# one could make sockets without the first.
_REFUSED_CALLS = {
    "x86_64": (0xC000003E, (41, 101, 310, 311, 438, 425)),  # AUDIT_ARCH_X86_64
    "aarch64": (0xC00000B7, (198, 117, 270, 271, 438, 425)),  # AUDIT_ARCH_AARCH64
}
_X32 = 0x40000000  # calls of the x32 interface are numbered from here
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of the classic packet filter
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # offsets in seccomp_data


@dataclass(frozen=True)
class FileAccess:
    """Which files a confined process may open.

    Args:
        writable: folders that it may write into; nothing else can be written.
        hidden: files and folders that it cannot read. All others can be read.
        shown: what of `hidden` it can read nevertheless.
    """

    writable: Sequence[Path] = ()
    hidden: Sequence[Path] = ()
    shown: Sequence[Path] = ()


class _RulesetAttributes(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def confine(access: FileAccess) -> list[str]:
    """Take from this process, whose only thread this must be, what opening files does not need.

    It can open no socket, look into no other process, and open no other files than `access` says.

    Returns:
        What this host does not offer of that, in words; empty: all holds.
    Raises:
        OSError: one of the writable folders does not exist.
    """
    if sys.platform != "linux":
        return [f"{sys.platform} offers no confinement: processes that open images may use network and files"]
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return [f"no rights could be taken away from processes that open images: {_last_error()}"]
    missing = []
    hide_environment()
    if (reason := drop_capabilities()) is not None:
        missing.append(f"processes that open images keep the rights of root: {reason}")
    if (reason := _restrict_files(access)) is not None:
        missing.append(f"processes that open images may open files and signal others: no Landlock ({reason})")
    if (reason := _refuse_calls()) is not None:
        missing.append(f"processes that open images may open sockets: no seccomp filter ({reason})")
    return missing


def _restrict_files(access: FileAccess) -> str | None:
    """Enter a Landlock domain, which can neither trace nor signal what is outside; returns why that is not possible."""
    libc = _libc()
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return _last_error()
    writing = _WRITING | sum(right for since, right in _WRITING_SINCE.items() if version >= since)
    reading = _READING if access.hidden else 0
    network = _BIND_AND_CONNECT_TCP if version >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    attributes = _RulesetAttributes(writing | reading | _NOWHERE, network, scoped)
    ruleset = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    if ruleset < 0:
        return _last_error()
    try:
        for path in (_ALWAYS_WRITABLE, *access.writable):
            _allow(ruleset, path, writing | reading)
        if reading:
            for path in (*access.shown, *_beside(Path("/"), [path.resolve() for path in access.hidden])):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile: not to be read either
                    _allow(ruleset, path, reading)
        return None if libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0 else _last_error()
    finally:
        os.close(ruleset)


def _beside(folder: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    """All that is in `folder` and is not hidden. Links are left out: what they lead to counts."""
    for path in folder.iterdir():
        if path in hidden or path.is_symlink():
            continue
        if any(path in one.parents for one in hidden):
            yield from _beside(path, hidden)
        else:
            yield path


def _allow(ruleset: int, path: Path, rights: int) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(rights if path.is_dir() else rights & _ON_FILES, folder)
        if _libc().syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, ctypes.byref(rule), 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(folder)


def _refuse_calls() -> str | None:
    """Have the kernel refuse the system calls above from now on; returns why that is not possible."""
    machine = platform.machine()
    if machine not in _REFUSED_CALLS:
        return f"not known for {machine}"
    program = _program(*_REFUSED_CALLS[machine])
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    filter_ = _Filter(len(program), code)
    done = _libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0) == 0
    return None if done else _last_error()


def _program(architecture: int, calls: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Instructions: code, how many to skip if true and if false, operand. The last two: allow, refuse."""
    comparisons = [(_AT_LEAST, _X32), *((_EQUAL, call) for call in calls)]
    count = len(comparisons)
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, count + 2, architecture),  # calls of another architecture are numbered otherwise
        (_LOAD, 0, 0, _NUMBER_AT),
        *((code, count - place, 0, operand) for place, (code, operand) in enumerate(comparisons)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _last_error() -> str:
    return os.strerror(ctypes.get_errno())
