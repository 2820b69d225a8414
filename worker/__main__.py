"""`python -m worker`: a worker with as many slots as its settings say. SIGTERM or Ctrl-C: save, then stop."""

from __future__ import annotations

from worker.app import app, settings
from worker.service import require_packages

if __name__ == "__main__":
    require_packages("worker")
    app.worker_main(
        ["worker", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
