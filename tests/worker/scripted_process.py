"""A stand-in for a search: `python scripted_process.py BEHAVIOUR (SEARCH_ID FENCE | REST_S)`. It computes nothing.

It writes progress and run states and receives stop requests through the same modules as the real search process.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from autonl_core.files import sha256_of, write_atomically
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import Phase, Progress, SavedState
from store.artifacts import PLAIN, ServedAs, StoredFile
from store.errors import LeaseLost
from store.leases import Lease
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.store.sample_rows import architecture, result
from worker.assignment import await_assignment
from worker.exit_codes import ExitCode, crash_code, exit_code_of
from worker.lifeline import Lifeline
from worker.sink import RowSink
from worker.workspace import Workspace

STEPS = int(os.environ.get("ACTOR_STEPS", "6"))
PHASES_OF_EXPORT: tuple[Phase, ...] = ("training", "exporting")
STEP_S = float(os.environ.get("ACTOR_STEP_S", "0.15"))


def chain(search_id: str, steps: int, begin: str = "") -> str:
    """The result of `steps` steps of a search: each hashes the one before, so a step left out or repeated shows."""
    link = begin or search_id
    for _ in range(steps):
        link = hashlib.sha256(link.encode()).hexdigest()
    return link


class ScriptedSearch:
    """One attempt of the scripted search."""

    def __init__(self, stores: Stores, lease: Lease) -> None:
        self.stores, self.lease = stores, lease
        self.lifeline = Lifeline()
        self.lifeline.hold()
        self.workspace = Workspace(stores.settings, lease.search_id)
        self.sink = RowSink(stores, lease, self.workspace, "digits")
        self.sink.event(EventKind.RESUMED, {"pid": os.getpid()})

    def save(self, step: int, link: str) -> None:
        path = self.workspace.attempt_dir(self.lease.fence) / f"state-{step}"
        content = json.dumps({"step": step, "link": link})
        write_atomically(path, lambda temporary: _write(temporary, content))
        self.sink.saved(SavedState(path, sha256_of(path), path.stat().st_size, step))

    def work(self) -> ExitCode:
        """Do the steps that no earlier attempt saved, then finish; stop on request."""
        done, link = self._resume()
        for step in range(done + 1, STEPS + 1):
            request = self.lifeline.stop_requested()
            if request is not None:
                if request != "drain":
                    self.sink.best_kept(architecture(1, val_top1_pct=88.0), self._file("best", link))
                return exit_code_of(request)
            time.sleep(STEP_S)
            self.sink.progress(Progress("searching", step / STEPS))
            link = chain(self.lease.search_id, 1, link)
            self.save(step, link)
        return self._finish(link)

    def _finish(self, link: str) -> ExitCode:
        model = self._file("model", link)
        stored = self.stores.artifacts.put(f"{self.lease.search_id}/{self.lease.fence}/{model.name}", model)
        self.stores.claims.finish(
            self.lease, replace(result(), checkpoint_sha256=stored.sha256), {"safetensors": stored}
        )
        return ExitCode.FINISHED

    def export(self) -> ExitCode:
        """Compute in no time, then export until a file `exported` lies in the data folder; stop on request."""
        for phase in PHASES_OF_EXPORT:
            self.sink.progress(Progress(phase, 0.9))
        while not (self.stores.settings.data_dir / "exported").exists():
            if (request := self.lifeline.stop_requested()) is not None:
                return exit_code_of(request)
            time.sleep(0.05)
        return self._finish(self.lease.search_id)

    def _resume(self) -> tuple[int, str]:
        """The newest intact run state: its step, and the result so far."""
        for saved in self.stores.updates.run_states(self.lease.search_id):
            path = self.workspace.absolute(saved.path)
            if path.is_file() and sha256_of(path) == saved.sha256:
                state = json.loads(path.read_text())
                return state["step"], state["link"]
        return 0, self.lease.search_id

    def _file(self, name: str, content: str) -> Path:
        path = self.workspace.attempt_dir(self.lease.fence) / f"{name}.safetensors"
        write_atomically(path, lambda temporary: _write(temporary, content))
        return path

    def endless(self) -> ExitCode:
        """Run until asked to stop."""
        self.sink.architecture(architecture(1, val_top1_pct=88.0))
        while (request := self.lifeline.stop_requested()) is None:
            self.sink.progress(Progress("searching", 0.5))
            time.sleep(0.05)
        return exit_code_of(request)

    def busy(self) -> ExitCode:
        """Compute until asked to stop, and keep a network."""
        while (request := self.lifeline.stop_requested()) is None:
            self.sink.progress(Progress("searching", 0.5))
            chain(self.lease.search_id, 20_000)
        if request != "drain":
            self.sink.best_kept(architecture(1, val_top1_pct=88.0), self._file("best", "link"))
        return exit_code_of(request)

    def deaf(self) -> ExitCode:
        """Ignore every stop request."""
        while True:
            self.sink.progress(Progress("searching", 0.5))
            time.sleep(0.05)

    def hung(self) -> ExitCode:
        """Keep running, but do nothing."""
        time.sleep(1000)
        return ExitCode.FINISHED

    def segfault(self) -> ExitCode:
        """Crash as native code does."""
        os.kill(os.getpid(), signal.SIGSEGV)
        return ExitCode.FINISHED

    def cramped_at_the_end(self) -> ExitCode:
        """Work, and find the disk full at the end."""
        put = self.stores.artifacts.put

        def put_without_room(
            key: str, source: Path, served_as: ServedAs = PLAIN, *, replace: bool = False
        ) -> StoredFile:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
            return put(key, source, served_as, replace=replace)

        self.stores.artifacts.put = put_without_room  # type: ignore[method-assign]
        return self.work()

    def slow_to_save(self) -> ExitCode:
        """Work, but take long to save after a stop request."""
        code = self.work()
        if code == ExitCode.GAVE_BACK:
            time.sleep(float(os.environ["ACTOR_SAVE_S"]))
        return code

    def crash(self) -> ExitCode:
        """Exit with a message."""
        print("the reason is on the last line")
        return ExitCode.CRASHED

    def forget(self) -> ExitCode:
        """Exit as if finished, without storing anything."""
        return ExitCode.FINISHED


def _write(path: Path, content: str) -> None:
    path.write_text(content)


def main(behaviour: str, search_id: str, fence: str) -> ExitCode:
    scripted = ScriptedSearch(open_stores(Settings()), Lease(search_id, int(fence)))
    try:
        code: ExitCode = getattr(scripted, behaviour)()
    except OSError as error:
        return crash_code(error)
    except LeaseLost:
        scripted.stores.events.stale_write(scripted.lease, "report")
        return ExitCode.LEASE_LOST
    return code


def run(behaviour: str, *arguments: str) -> ExitCode:
    """Run the search that the arguments name, or the one that arrives, as the real search process does."""
    if len(arguments) == 2:
        return main(behaviour, *arguments)
    assignment = await_assignment(lambda: print("prepared", flush=True), rest_s=float(*arguments))
    return ExitCode.FINISHED if assignment is None else main(behaviour, assignment.search_id, str(assignment.fence))


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
