"""The process that runs verify.py: it cannot import this package, and has loaded what verify.py needs."""

from __future__ import annotations

import sys

from autonl_core.run.prepared_process import PreparedProcess

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


def clean_process() -> PreparedProcess:
    """Not started yet. Its request: the path of a script, and the script's arguments."""
    return PreparedProcess([sys.executable, "-I", "-B", "-c", _PROGRAM])  # isolated, and leaving no files
