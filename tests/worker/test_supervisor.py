"""A supervisor, real processes, real databases: every way in which an attempt can end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import psutil
import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.progress import StopRequest
from store.leases import Lease
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores, open_stores
from tests.servers import PostgresServer, free_port, is_frozen, wait_for
from tests.store.sample_rows import CONFIG, architecture, claim, expire, kinds, queue_search
from tests.worker.scripted_process import STEPS
from tests.worker.scripted_supervisor import command, is_gone, process, run, running, search_pid
from worker.attempt_outcome import Outcome, outcome_of
from worker.devices.device import CPU
from worker.exit_codes import ExitCode
from worker.leased_process import Cause, ProcessEnd
from worker.supervisor import Supervisor
from worker.workspace import Workspace


def saved_steps(stores: Stores, search_id: str) -> list[int]:
    return [event.detail["step"] for event in stores.events.after(search_id) if event.kind == "run_state_saved"]


def exits(stores: Stores, search_id: str) -> list[ExitClass | None]:
    return [attempt.exit_class for attempt in stores.searches.attempts(search_id)]


def test_a_search_runs_to_its_end_and_leaves_only_its_log(stores: Stores, settings: Settings) -> None:
    search_id = queue_search(stores)
    assert run(stores, "work") == 1
    assert stores.searches.get(search_id).state is SearchState.SUCCEEDED
    assert saved_steps(stores, search_id) == list(range(1, STEPS + 1))
    assert [path.name for path in (settings.searches_dir / search_id).iterdir()] == ["attempt-0001.log"]


@pytest.mark.long
def test_queued_searches_run_one_after_the_other(stores: Stores) -> None:
    searches = [queue_search(stores) for _ in range(2)]
    assert run(stores, "work") == 2
    assert {stores.searches.get(search_id).state for search_id in searches} == {SearchState.SUCCEEDED}


@pytest.mark.long
def test_a_crash_is_retried_and_then_given_up_with_the_end_of_its_log(settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"max_crash_streak": 2}))
    search_id = queue_search(stores)
    assert run(stores, "crash") == 2
    search = stores.searches.get(search_id)
    assert search.state is SearchState.FAILED
    assert search.error is not None
    assert search.error["detail"].count("exited with code 70: the reason is on the last line") == 2
    attempts = stores.searches.attempts(search_id)
    assert [attempt.log_tail for attempt in attempts] == ["the reason is on the last line\n"] * 2
    stores.close()


def test_exiting_with_code_0_but_no_result_is_a_crash(settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"max_crash_streak": 1}))
    search_id = queue_search(stores)
    run(stores, "forget")
    assert exits(stores, search_id) == [ExitClass.CRASHED]
    assert "stored no result" in str(stores.searches.attempts(search_id)[0].detail)
    stores.close()


def test_a_killed_search_resumes_where_it_was(stores: Stores) -> None:
    search_id = queue_search(stores)
    with running(stores, "work"):
        wait_for(lambda: len(saved_steps(stores, search_id)) >= 2, "two run states are saved")
        os.kill(search_pid(stores, search_id), signal.SIGKILL)
    assert exits(stores, search_id) == [ExitClass.KILLED, ExitClass.SUCCEEDED]
    assert saved_steps(stores, search_id) == list(range(1, STEPS + 1))  # each step once: nothing lost, nothing repeated


def test_a_cancel_stops_the_search_and_keeps_its_best_architecture(stores: Stores) -> None:
    search_id = queue_search(stores)
    with running(stores, "endless"):
        pid = search_pid(stores, search_id)
        wait_for(lambda: stores.searches.get(search_id).best_arch_id, "an architecture is found")
        stores.control.cancel(search_id)
    search = stores.searches.get(search_id)
    assert (search.state, search.best_arch_id) == (SearchState.CANCELLED, architecture(1).arch_id)
    assert exits(stores, search_id) == [ExitClass.CANCELLED]
    assert is_gone(pid)


@pytest.mark.long
def test_a_pause_frees_the_worker_and_a_resume_continues(stores: Stores) -> None:
    search_id = queue_search(stores)
    with running(stores, "work"):
        wait_for(lambda: saved_steps(stores, search_id), "a run state is saved")
        stores.control.pause(search_id)
    search = stores.searches.get(search_id)
    assert (search.state, search.owner) == (SearchState.PAUSED, None)
    assert search.best_arch_id is not None
    assert stores.architectures.artifact(search.best_arch_id, "safetensors", search_id=search_id) is not None
    stores.control.resume(search_id)
    run(stores, "work")
    assert exits(stores, search_id) == [ExitClass.PAUSED, ExitClass.SUCCEEDED]
    assert saved_steps(stores, search_id) == list(range(1, STEPS + 1))


def test_a_process_that_cannot_start_is_a_crash_and_not_a_lost_search(stores: Stores) -> None:
    search_id = queue_search(stores)
    assert Supervisor(stores, "worker-1", command=["/no/such/program"]).run_until_idle() == 3
    assert stores.searches.get(search_id).state is SearchState.FAILED
    assert "could not be started" in str(stores.searches.attempts(search_id)[0].detail)


@pytest.mark.long
def test_a_search_that_ignores_a_cancel_is_killed(settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"stop_grace_s": 0.3}))
    search_id = queue_search(stores)
    with running(stores, "deaf"):
        pid = search_pid(stores, search_id)
        stores.control.cancel(search_id)
    assert stores.searches.get(search_id).state is SearchState.CANCELLED
    assert is_gone(pid)
    stores.close()


@pytest.mark.long
def test_a_drain_gives_the_search_back_without_penalty(stores: Stores) -> None:
    search_id, waiting = queue_search(stores), queue_search(stores)
    draining = threading.Event()
    with running(stores, "endless", draining):
        search_pid(stores, search_id)
        draining.set()
    search = stores.searches.get(search_id)
    assert (search.state, search.crash_streak) == (SearchState.QUEUED, 0)
    assert exits(stores, search_id) == [ExitClass.DRAINED]
    assert stores.searches.get(waiting).attempts == 0  # a draining worker claims nothing new
    stores.control.cancel(waiting)
    run(stores, "work")
    assert stores.searches.get(search_id).state is SearchState.SUCCEEDED


def test_a_search_without_progress_is_killed(settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"stall_s": 1.0, "max_crash_streak": 1}))
    search_id = queue_search(stores)
    run(stores, "hung")
    assert exits(stores, search_id) == [ExitClass.STALLED]
    assert not [child for child in psutil.Process().children() if search_id in child.cmdline()]
    stores.close()


@pytest.mark.long
def test_beats_keep_the_lease_for_longer_than_a_lease(settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"lease_s": 3}))
    search_id = queue_search(stores)
    draining = threading.Event()
    with running(stores, "endless", draining):
        search_pid(stores, search_id)
        began = time.monotonic()
        while time.monotonic() - began < 5:
            assert stores.sweeps.sweep() == []
            time.sleep(0.1)
        draining.set()
    assert len(stores.searches.attempts(search_id)) == 1
    stores.close()


@pytest.mark.long
def test_a_search_dies_with_its_supervisor_and_continues_with_another(stores: Stores, settings: Settings) -> None:
    search_id = queue_search(stores)
    with process(settings, "work") as supervisor:
        wait_for(lambda: saved_steps(stores, search_id), "a run state is saved")
        pid = search_pid(stores, search_id)
        supervisor.kill()
        wait_for(lambda: is_gone(pid), "the orphan is gone", timeout_s=5)
    expire(stores, claim_of(stores, search_id))
    stores.sweeps.sweep()
    run(stores, "work")
    assert exits(stores, search_id) == [ExitClass.LEASE_LOST, ExitClass.SUCCEEDED]
    assert saved_steps(stores, search_id) == list(range(1, STEPS + 1))


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_a_search_whose_supervisor_was_late_is_no_crash(stores: Stores, is_taken_over: bool) -> None:
    search_id = queue_search(stores)
    lease = claim(stores)
    if is_taken_over:
        expire(stores, lease)
        stores.sweeps.sweep()
        claim(stores, "worker-2")
    late = ProcessEnd(Cause.LEASE_LOST, -signal.SIGKILL, stop_request=None, memory_ran_out=False)
    Supervisor(stores, "worker-1").record_outcome(lease, late, Workspace(stores.settings, search_id))
    search = stores.searches.get(search_id)
    assert (search.state, search.crash_streak) == ((SearchState.RUNNING if is_taken_over else SearchState.QUEUED), 0)
    assert stores.searches.attempts(search_id)[0].exit_class is ExitClass.LEASE_LOST
    assert ("stale_write_refused" in kinds(stores, search_id)) == is_taken_over


def test_an_orphaned_search_kills_itself(stores: Stores, settings: Settings) -> None:
    """Where the kernel does not kill orphans, the end of their standard input makes them exit."""
    queue_search(stores)
    lease = claim(stores)
    orphan = subprocess.Popen(
        [*command("endless"), lease.search_id, str(lease.fence)],
        env=settings.search_process_environment(),
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert search_pid(stores, lease.search_id) == orphan.pid
        assert orphan.stdin is not None
        orphan.stdin.close()
        assert orphan.wait(10) == -signal.SIGKILL
    finally:
        orphan.kill()
        orphan.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can kill a process when its parent dies")
def test_even_a_frozen_search_dies_with_its_supervisor(stores: Stores, settings: Settings) -> None:
    """It cannot read its standard input, like a search stuck in native code that holds the interpreter lock."""
    search_id = queue_search(stores)
    with process(settings, "endless") as supervisor:
        pid = search_pid(stores, search_id)
        os.kill(pid, signal.SIGSTOP)
        supervisor.kill()
        try:
            wait_for(lambda: is_gone(pid), "the orphan is gone", timeout_s=5)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize("frozen", [False, True])
def test_no_rank_outlives_its_supervisor(stores: Stores, settings: Settings, frozen: bool) -> None:
    """Ranks are in sessions of their own; what ends them is the end of their shared standard input, or the kernel."""
    search_id = queue_shared_search(stores)
    with process(settings.model_copy(update={"ranks": 2}), "endless") as supervisor:
        ranks = rank_pids(stores, search_id, supervisor.pid)
        if frozen:
            os.kill(ranks[1], signal.SIGSTOP)
        started = psutil.Process(supervisor.pid).children(recursive=True)
        assert set(ranks) < {one.pid for one in started}
        supervisor.kill()
        try:
            wait_for(lambda: all(is_gone(one.pid) for one in started), "all ranks are gone", timeout_s=5)
        finally:
            for one in started:
                with suppress(psutil.NoSuchProcess):
                    one.kill()


@pytest.mark.long
def test_a_supervisor_kills_the_ranks_of_a_search_that_does_not_stop(settings: Settings) -> None:
    with closing(open_stores(settings.model_copy(update={"ranks": 2, "stop_grace_s": 0.5}))) as stores:
        search_id = queue_shared_search(stores)
        with running(stores, "deaf"):
            ranks = rank_pids(stores, search_id, os.getpid())
            stores.control.cancel(search_id)
            wait_for(lambda: all(map(is_gone, ranks)), "all ranks are gone", timeout_s=30)
        assert stores.searches.get(search_id).state is SearchState.CANCELLED


@pytest.mark.long
def test_a_shared_search_ends_as_its_first_rank_does(settings: Settings) -> None:
    """The request arrives at rank 0; scripted ranks agree on nothing, so the other one is ended."""
    with closing(open_stores(settings.model_copy(update={"ranks": 2}))) as stores:
        search_id = queue_shared_search(stores)
        with running(stores, "endless"):
            rank_pids(stores, search_id, os.getpid())
            stores.control.cancel(search_id)
        assert exits(stores, search_id) == [ExitClass.CANCELLED]


def test_how_many_ranks_a_search_gets_is_known_without_the_database(settings: Settings) -> None:
    """It may be gone right after the claim, and the attempt has to start all the same."""
    gone = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/gone"
    with closing(open_stores(settings.model_copy(update={"ranks": 4, "database_url": gone}))) as stores:
        supervisor = Supervisor(stores, "worker-1")
        assert supervisor._ranks(Lease("1", 1, batch_parts=6), CPU) == 3
        assert supervisor._ranks(Lease("2", 1), CPU) == 1


def queue_shared_search(stores: Stores) -> str:
    """A search that two ranks can share."""
    return stores.searches.create(CONFIG.model_copy(update={"batch_parts": 2}), DIGITS)[0].id


def rank_pids(stores: Stores, search_id: str, supervisor_pid: int) -> list[int]:
    """The processes of both ranks, once one of them has reported itself: rows take the same report only once."""

    def ranks() -> list[int]:
        started = psutil.Process(supervisor_pid).children(recursive=True)
        return [one.pid for one in started if one.environ().get("RANK") and "scripted" in one.cmdline()[1]]

    search_pid(stores, search_id)
    wait_for(lambda: len(ranks()) == 2, "both ranks have begun")
    return ranks()


@pytest.mark.long
def test_a_supervisor_that_slept_past_its_lease_loses_the_search(stores: Stores, settings: Settings) -> None:
    """The process writes nothing, so that it cannot find out first that its attempt is outdated."""
    search_id = queue_search(stores)
    with process(settings, "hung") as supervisor:
        pid = search_pid(stores, search_id)
        supervisor.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_frozen(supervisor.pid), "the supervisor sleeps")
        expire(stores, claim_of(stores, search_id))
        stores.sweeps.sweep()
        second = claim(stores, "worker-2")
        before = kinds(stores, search_id)
        supervisor.send_signal(signal.SIGCONT)
        wait_for(lambda: is_gone(pid), "the stale process is gone")
        wait_for(lambda: len(kinds(stores, search_id)) > len(before), "the supervisor records that it lost its lease")
    search = stores.searches.get(search_id)
    assert (search.state, search.fence, search.owner) == (SearchState.RUNNING, second.fence, "worker-2")
    assert kinds(stores, search_id) == [*before, "stale_write_refused"]  # the only trace of the stale attempt


@pytest.mark.long
def test_without_a_database_the_search_stops_before_its_lease_ends(settings: Settings) -> None:
    server = PostgresServer()
    server.start()
    try:
        url = Settings(database_url=server.emptied_database()).database_url
        settings = settings.model_copy(update={"database_url": url})
        stores = open_stores(settings)
        search_id = queue_search(stores)
        with process(settings, "endless") as supervisor:
            pid = search_pid(stores, search_id)
            server.stop()
            wait_for(lambda: is_gone(pid), "the process is gone", settings.lease_s)
            assert supervisor.wait(20) == 0  # nothing to run without a database
        server.start()
        assert stores.searches.get(search_id).state is SearchState.RUNNING  # for a sweeper to find
        expire(stores, claim_of(stores, search_id))
        assert [swept.state for swept in stores.sweeps.sweep()] == [SearchState.QUEUED]
        stores.close()
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("cause", "returncode", "stop_request", "outcome"),
    [
        (Cause.EXITED, ExitCode.CANCELLED, "cancel", Outcome.CANCELLED),
        (Cause.EXITED, ExitCode.GAVE_BACK, "pause", Outcome.GAVE_BACK),
        (Cause.EXITED, ExitCode.GAVE_BACK, "cancel", Outcome.GAVE_BACK),
        (Cause.EXITED, ExitCode.OTHER_VERSION, None, Outcome.OTHER_VERSION),
        (Cause.EXITED, ExitCode.FINISHED, None, Outcome.CRASHED),
        (Cause.EXITED, -signal.SIGKILL, "cancel", Outcome.CRASHED),
        (Cause.GRACE_OVER, -signal.SIGKILL, "cancel", Outcome.CANCELLED),
        (Cause.GRACE_OVER, -signal.SIGKILL, "pause", Outcome.GAVE_BACK),
        (Cause.GRACE_OVER, ExitCode.GAVE_BACK, "drain", Outcome.GAVE_BACK),
        (Cause.STALLED, -signal.SIGKILL, None, Outcome.STALLED),
    ],
)
def test_an_end_has_one_outcome(
    cause: Cause, returncode: int, stop_request: StopRequest | None, outcome: Outcome
) -> None:
    assert outcome_of(ProcessEnd(cause, returncode, stop_request, memory_ran_out=False)) is outcome


def claim_of(stores: Stores, search_id: str) -> Lease:
    return Lease(search_id, stores.searches.get(search_id).fence)
