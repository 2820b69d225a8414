"""A stand-in for a search: `python actor.py BEHAVIOUR SEARCH_ID FENCE`. It computes nothing, and is real otherwise.

It reports, saves run states and hears requests through the very modules that the real child uses.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from autonl_core.progress import Progress, SavedState
from store.errors import LeaseLost
from store.fencing import Lease
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.store.samples import CHECKPOINT, architecture, result
from worker.exits import ExitCode
from worker.lifeline import Lifeline
from worker.sink import RowSink
from worker.workspace import Workspace

STEPS = 6
STEP_S = 0.15


class Actor:
    """One attempt of the scripted search."""

    def __init__(self, stores: Stores, lease: Lease) -> None:
        self.stores, self.lease = stores, lease
        self.lifeline = Lifeline()
        self.lifeline.hold()
        self.workspace = Workspace(stores.settings, lease.search_id)
        self.sink = RowSink(stores, lease, self.workspace)
        self.sink.event("hello", {"pid": os.getpid()})

    def save(self, step: int) -> None:
        path = self.workspace.attempt_dir(self.lease.fence) / f"state-{step}"
        path.write_text(str(step))
        self.sink.saved(SavedState(path, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, step))

    def work(self) -> ExitCode:
        """Do the steps that no earlier attempt saved, then finish; stop where asked to."""
        saved = self.stores.reports.run_states(self.lease.search_id)
        done = int(Path(self.workspace.absolute(saved[0].path)).read_text()) if saved else 0
        for step in range(done + 1, STEPS + 1):
            request = self.lifeline.stop_requested()
            if request is not None:
                return ExitCode.CANCELLED if request == "cancel" else ExitCode.GAVE_BACK
            time.sleep(STEP_S)
            self.sink.progress(Progress("searching", step / STEPS))
            self.save(step)
        checkpoint = replace(CHECKPOINT, key=f"{self.lease.search_id}/{self.lease.fence}/model.safetensors")
        self.stores.claims.finish(self.lease, result(), checkpoint)
        return ExitCode.FINISHED

    def endless(self) -> ExitCode:
        """Go on until asked to stop."""
        self.sink.architecture(architecture(1, val_top1_pct=88.0))
        while (request := self.lifeline.stop_requested()) is None:
            self.sink.progress(Progress("searching", 0.5))
            time.sleep(0.05)
        return ExitCode.CANCELLED if request == "cancel" else ExitCode.GAVE_BACK

    def deaf(self) -> ExitCode:
        """Go on whatever is asked."""
        while True:
            self.sink.progress(Progress("searching", 0.5))
            time.sleep(0.05)

    def hung(self) -> ExitCode:
        """Live on, and do nothing."""
        time.sleep(1000)
        return ExitCode.FINISHED

    def crash(self) -> ExitCode:
        """Leave with a message."""
        print("the reason is on the last line")
        return ExitCode.CRASHED

    def forget(self) -> ExitCode:
        """Leave as if finished, without having stored anything."""
        return ExitCode.FINISHED


def main(behaviour: str, search_id: str, fence: str) -> ExitCode:
    actor = Actor(open_stores(Settings()), Lease(search_id, int(fence)))
    try:
        code: ExitCode = getattr(actor, behaviour)()
    except LeaseLost:
        return ExitCode.LEASE_LOST
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
