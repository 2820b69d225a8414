"""The log of each attempt: a file while it runs and on the host that ran it, its tail in the attempt's row for good."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.models import Attempt
from store.settings import Settings

_TAIL_BYTES = 1 << 20  # read from the end of a file, whatever the number of lines


def log_path(settings: Settings, search_id: str, fence: int) -> Path:
    """Where the attempt writes its log."""
    return settings.searches_dir / search_id / f"attempt-{fence:04d}.log"


def read_logs(settings: Settings, attempts: Sequence[Attempt], lines: int) -> list[dict[str, Any]]:
    """The last `lines` lines of the log of each attempt, from its file or else from what its row kept."""
    return [{"attempt": row.fence, "lines": _read(settings, row).splitlines()[-lines:]} for row in attempts]


def read_tail(path: Path, size_bytes: int) -> str:
    """The end of a log, at most so many bytes. Raises FileNotFoundError."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - size_bytes, 0))
        return file.read().decode("utf-8", "replace")


def _read(settings: Settings, attempt: Attempt) -> str:
    try:
        return read_tail(log_path(settings, attempt.search_id, attempt.fence), _TAIL_BYTES)
    except FileNotFoundError:  # on another host, or tidied away
        return attempt.log_tail or ""
