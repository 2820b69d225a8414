"""A probe of GPUs that do not exist: `python scripted_probe.py FOLDER`. One is sick if the folder has a file so named.

The file says why; one that says `hang` never answers.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sick = Path(sys.argv[1]) / os.environ["CUDA_VISIBLE_DEVICES"]
    if sick.exists():
        if sick.read_text() == "hang":
            time.sleep(1000)
        sys.exit(f"probing\n{sick.read_text()}")
