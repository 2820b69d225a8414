"""The process that runs verify.py: it cannot import this package, and has loaded what verify.py needs.

If it is asked to, it forks the process that exports, which needs the same and this package too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import autonl_core
from autonl_core.run.prepared_process import PreparedProcess

# Loads what verify.py imports, and what opening a .pt2 file loads; then it runs the script that a line on its standard
# input names, as Python itself would. Without a line it has nothing to do. A fork has only the thread that made it:
# until then nothing is computed with several, and ONNX Runtime, which starts one when it is loaded, is loaded after it.
# NumPy's BLAS, which keeps some too, starts them again in a fork.
_PROGRAM = """
import io, json, os, runpy, sys
import numpy, PIL.Image, torch
torch.set_num_threads(1)
made = io.BytesIO()
dim = torch.export.Dim("batch")
torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(2, 1),), dynamic_shapes=({0: dim},)), made)
made.seek(0)
torch.export.load(made).module()
ends = [int(end) for end in sys.argv[2:]]
if ends and os.fork() == 0:
    sys.path.insert(0, sys.argv[1])
    from autonl_core.bundle.export_process import run_forked
    run_forked(*ends)
for end in ends:
    os.close(end)
import onnxruntime
line = sys.stdin.readline()
if line:
    sys.argv = json.loads(line)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def clean_process() -> PreparedProcess:
    """Not started yet. Its request: the path of a script, and the script's arguments."""
    root = str(Path(autonl_core.__file__).parents[1])  # of this package, for the fork, wherever Python would look
    return PreparedProcess([sys.executable, "-I", "-B", "-c", _PROGRAM, root])  # isolated, and leaving no files
