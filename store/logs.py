"""The log of each attempt: a file on the host that runs it, of which the attempt's row keeps the end permanently."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.models import Attempt
from store.settings import Settings
from telemetry.log_lines import as_text

_TAIL_BYTES = 1 << 20  # the most that is read from the end of a file, however many lines are asked for


def log_path(settings: Settings, search_id: str, fence: int) -> Path:
    """The file to which an attempt writes its log."""
    return settings.searches_dir / search_id / f"attempt-{fence:04d}.log"


def read_logs(settings: Settings, attempts: Sequence[Attempt], lines: int) -> list[dict[str, Any]]:
    """The last `lines` lines of each attempt's log, from its file, or from its row if the file is not on this host."""
    return [{"attempt": row.fence, "lines": _read(settings, row).splitlines()[-lines:]} for row in attempts]


def read_tail(path: Path, size_bytes: int) -> str:
    """At most `size_bytes` from the end of a log, as text, whatever its format. Raises FileNotFoundError."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - size_bytes, 0))
        return as_text(file.read().decode("utf-8", "replace"))


def _read(settings: Settings, attempt: Attempt) -> str:
    try:
        return read_tail(log_path(settings, attempt.search_id, attempt.fence), _TAIL_BYTES)
    except FileNotFoundError:  # it is on another host, or was deleted
        return attempt.log_tail or ""
