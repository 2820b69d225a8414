"""The environments of processes that a search or a check starts, and of those that compute one search together.

What opens files of strangers gets what it needs, and nothing that names a service. Ranks find in it who they are:
`torch.distributed.elastic`, which started them, says so there.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Where programs, libraries and temporary files are, language and time zone, and how many threads compute. Everything
# else stays out, whatever it is called: addresses and passwords have all kinds of names.
_NEEDED = re.compile(
    r"PATH|TMPDIR|LANG|LANGUAGE|LC_[A-Z]+|TZ|TZDIR|VIRTUAL_ENV|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_[A-Z_]+"
    r"|PYTHON(PATH|HOME|UNBUFFERED|DONTWRITEBYTECODE|HASHSEED|WARNINGS|MALLOC|FAULTHANDLER|UTF8|SAFEPATH)"
    r"|(OMP|MKL|OPENBLAS|NUMBA|NUMEXPR|VECLIB)_[A-Z_]+|MALLOC_[A-Z_]+|CUDA_VISIBLE_DEVICES"
)


def environment_without_gpus() -> dict[str, str]:
    """The variables of this process, for one that computes on the CPU only, wherever this one does."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": ""}


def confined_environment() -> dict[str, str]:
    """The variables of this process that one which opens files of strangers gets."""
    return {name: value for name, value in os.environ.items() if _NEEDED.fullmatch(name)}


@dataclass(frozen=True)
class LaunchedRank:
    """This process is `rank` of `size`; they find each other by the file `store`."""

    rank: int
    size: int
    store: str


def folder_of_launch(run_id: str) -> Path:
    """Where the ranks of one launch meet; the launch makes this folder, and deletes it."""
    return Path(tempfile.gettempdir()) / run_id


def launched_rank() -> LaunchedRank | None:
    """Which rank this process is; None if it was not launched as one."""
    run_id = os.environ.get("TORCHELASTIC_RUN_ID")
    if run_id is None:
        return None
    return LaunchedRank(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), str(folder_of_launch(run_id) / "store"))


def speak_on_loopback_only() -> None:
    """Have gloo and NCCL listen where only processes of this machine reach them, unless the environment says where."""
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, "lo" if sys.platform == "linux" else "lo0")
