"""What commands that upload have in common: a progress bar, and waiting for the check of what was uploaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

POLL_S = 0.5


def upload_progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=console.quiet)


def wait_for_check(
    uploaded: Mapping[str, Any], get: Callable[[str], dict[str, Any]], console: Console
) -> Mapping[str, Any]:
    """Poll with `get` until what was uploaded, a dataset or a weight set, is checked; returns it."""
    name = uploaded["name"]
    with console.status(f"checking {name}") as status:
        while uploaded["state"] == "checking":
            time.sleep(POLL_S)
            uploaded = get(name)
            if uploaded["progress"] is not None:
                status.update(f"checking {name}: {100 * uploaded['progress']:.0f}%")
            else:
                status.update(f"{name} is waiting for a checker")
    return uploaded
