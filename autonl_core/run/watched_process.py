"""A process that a search starts and waits for, alive and ready to stop."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from autonl_core.run.search_run import SearchRun

REPORT_S = 1.0


def run_watched(run: SearchRun, command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `command` in `cwd`; while it works, report that the search is alive, and stop if it is asked to."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=cwd) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=REPORT_S)
                    return subprocess.CompletedProcess(command, process.returncode, output, errors)
                run.still_wanted()
        except BaseException:
            process.kill()
            raise
