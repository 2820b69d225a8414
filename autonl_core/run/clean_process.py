"""A process without this package, for verify.py: started ahead, so that what verify.py needs is loaded by then."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

REPORT_S = 1.0

# Loads what verify.py imports, and what opening a .pt2 file loads; then it runs the script that a line on its standard
# input names, as Python itself would. Without a line it has nothing to do.
_PROGRAM = """
import io, json, runpy, sys
import numpy, onnxruntime, PIL.Image, torch
made = io.BytesIO()
dim = torch.export.Dim("batch")
torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(2, 1),), dynamic_shapes=({0: dim},)), made)
made.seek(0)
torch.export.load(made).module()
line = sys.stdin.readline()
if line:
    sys.argv = json.loads(line)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


class CleanProcess:
    """At most one process, in an empty folder of its own. `end` it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._cleanup = contextlib.ExitStack()

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None:
            return
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="autonl-verify-"))
        pipe = subprocess.PIPE
        command = [sys.executable, "-I", "-B", "-c", _PROGRAM]  # isolated, and leaving no files
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder)

    def run(
        self,
        script: Path,
        arguments: Sequence[str],
        *,
        meanwhile: Callable[[], None],
        still_wanted: Callable[[], None],
    ) -> subprocess.CompletedProcess[str]:
        """Run `script` to its end.

        Args:
            meanwhile: called once it has begun.
            still_wanted: called now and then after that; what it raises ends the process.
        """
        self.start()
        assert self._process is not None
        process, command = self._process, [str(script), *arguments]
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has ended, and says why below
                process.stdin.write(json.dumps(command) + "\n")
                process.stdin.flush()
            meanwhile()
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=REPORT_S)
                    return subprocess.CompletedProcess(command, process.returncode, output, errors)
                still_wanted()
        finally:
            self.end()

    def end(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes, and waits
        self._cleanup.close()
