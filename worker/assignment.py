"""How a search process that was started ahead gets its search: one line on its standard input (`worker/spare.py`)."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from autonl_core.host.parent import end_with_parent


class Assignment(NamedTuple):
    """A search to run."""

    search_id: str
    fence: int


def await_assignment(prepare: Callable[[], None], rest_s: float = 0) -> Assignment | None:
    """Prepare, unless a search arrives within `rest_s`, and wait for it; None if the parent is gone.

    From then on everything that this process prints goes to the log of the search.
    """
    end_with_parent()
    if not _arrives_within(rest_s):
        prepare()
    line = sys.stdin.readline()
    if not line:
        return None
    search_id, fence, log_path = json.loads(line)
    _print_to(Path(log_path))
    return Assignment(search_id, fence)


def _arrives_within(seconds: float) -> bool:
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def _print_to(log_path: Path) -> None:
    with log_path.open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
