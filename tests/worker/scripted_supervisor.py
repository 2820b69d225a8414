"""Supervisors of scripted searches: in a thread of the test, or in a process that the test can kill."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from autonl_core.spec.event_kinds import EventKind
from store.settings import Settings
from store.states import SearchState
from store.stores import Stores, open_stores
from tests.servers import wait_for
from worker.supervisor import Supervisor

SCRIPT = Path(__file__).with_name("scripted_process.py")


def command(behaviour: str) -> list[str]:
    return [sys.executable, str(SCRIPT), behaviour]


def run(stores: Stores, behaviour: str) -> int:
    """Run searches until none is due; the number of attempts."""
    return Supervisor(stores, "worker-1", command=command(behaviour)).run_until_idle()


@contextmanager
def running(stores: Stores, behaviour: str, draining: threading.Event | None = None) -> Iterator[None]:
    """A supervisor in a thread; on exit, waits until it runs out of searches."""
    drain = draining or threading.Event()
    supervisor = Supervisor(stores, "worker-1", draining=drain.is_set, command=command(behaviour))
    thread = threading.Thread(target=supervisor.run_until_idle)
    thread.start()
    try:
        yield
        thread.join(60)
        assert not thread.is_alive(), "the supervisor is still running"
    finally:
        drain.set()
        thread.join(60)


@contextmanager
def process(settings: Settings, behaviour: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor in its own process."""
    started = subprocess.Popen([sys.executable, __file__, behaviour], env=settings.environment())
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def search_pid(stores: Stores, search_id: str, fence: int = 1) -> int:
    """The process id of an attempt, once it has reported it."""

    def reported_pids() -> list[int]:
        events = stores.events.after(search_id)
        return [event.detail["pid"] for event in events if event.kind == EventKind.RESUMED and event.fence == fence]

    wait_for(reported_pids, f"attempt {fence} reports its process id", timeout_s=60)
    return reported_pids()[0]


def is_gone(pid: int) -> bool:
    """Whether no process with this id is running."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for_state(stores: Stores, search_id: str, state: SearchState, timeout_s: float = 30) -> None:
    wait_for(lambda: stores.searches.get(search_id).state == state, f"search {search_id} is {state}", timeout_s)


if __name__ == "__main__":
    run(open_stores(Settings()), sys.argv[1])
