"""The environments of processes that a search or a check starts: what opens files of strangers gets no addresses."""

from __future__ import annotations

import os
import re

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
