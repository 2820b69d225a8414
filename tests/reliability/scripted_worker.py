"""`python -m tests.reliability.scripted_worker BEHAVIOUR`: the real worker with scripted searches."""

from __future__ import annotations

import sys

from tests.worker.scripted_supervisor import command
from worker import app as worker

if __name__ == "__main__":
    worker.search_command = command(sys.argv[1])
    worker.app.worker_main(
        ["worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
