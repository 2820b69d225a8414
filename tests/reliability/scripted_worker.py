"""`python -m tests.reliability.scripted_worker BEHAVIOUR`: the real worker with scripted searches.

With the variable SICK_GPUS, the name of a folder, probes of GPUs are scripted as well.
"""

from __future__ import annotations

import os
import sys

from tests.reliability.service import ROOT
from tests.worker.scripted_supervisor import command
from worker import app as worker

if __name__ == "__main__":
    worker.search_command = command(sys.argv[1])
    if sick := os.environ.get("SICK_GPUS"):
        worker.probe_command = [sys.executable, str(ROOT / "tests/worker/devices/scripted_probe.py"), sick]
    worker.app.worker_main(
        ["worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
