"""`python -m worker`: a worker with the slots of its settings. SIGTERM or Ctrl-C saves what runs, then stops."""

from __future__ import annotations

from worker.app import app, settings

if __name__ == "__main__":
    app.worker_main(
        ["worker", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
