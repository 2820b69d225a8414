"""A search process started ahead: it takes one search, obeys as any other does, and never outlives its use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from autonl_core.spec.progress import StopRequest
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores, open_stores
from tests.servers import wait_for
from tests.store.sample_rows import queue_search
from tests.worker.scripted_supervisor import command, is_gone, search_pid, wait_for_state
from worker.spare import Spare
from worker.supervisor import Supervisor

MakeSpare = Callable[..., Spare]


@pytest.fixture
def make_spare(settings: Settings) -> Iterator[MakeSpare]:
    made: list[Spare] = []

    def make(behaviour: str, **changes: float) -> Spare:
        made.append(Spare(command(behaviour), settings.model_copy(update=changes)))
        return made[-1]

    yield make
    for spare in made:
        spare.end()


def supervisor(stores: Stores, behaviour: str, spare: Spare) -> Supervisor:
    return Supervisor(stores, "worker-1", command=command(behaviour), spare=spare)


def pid_of(spare: Spare) -> int:
    assert spare.pid is not None
    return spare.pid


def test_the_search_runs_in_the_process_that_waits_and_prints_to_its_own_log(
    settings: Settings, make_spare: MakeSpare
) -> None:
    stores = open_stores(settings.model_copy(update={"max_crash_streak": 2}))
    spare = make_spare("crash")
    spare.renew()
    waiting = pid_of(spare)
    search_id = queue_search(stores)
    assert supervisor(stores, "crash", spare).run_until_idle() == 2
    first, second = (search_pid(stores, search_id, fence) for fence in (1, 2))
    assert first == waiting
    assert second != first  # every attempt has a process of its own
    attempts = stores.searches.attempts(search_id)
    assert [attempt.log_tail for attempt in attempts] == ["the reason is on the last line\n"] * 2
    assert [attempt.exit_class for attempt in attempts] == [ExitClass.CRASHED] * 2
    stores.close()


@pytest.mark.long
def test_after_each_search_the_next_process_waits(stores: Stores, make_spare: MakeSpare) -> None:
    spare = make_spare("work")
    spare.renew()
    used = pid_of(spare)
    search_id = queue_search(stores)
    assert supervisor(stores, "work", spare).run_until_idle() == 1
    assert stores.searches.get(search_id).state is SearchState.SUCCEEDED
    assert pid_of(spare) != used
    assert psutil.pid_exists(pid_of(spare))


@pytest.mark.long
@pytest.mark.parametrize(("request_", "state"), [("pause", SearchState.PAUSED), ("cancel", SearchState.CANCELLED)])
def test_it_obeys_requests(stores: Stores, make_spare: MakeSpare, request_: StopRequest, state: SearchState) -> None:
    spare = make_spare("endless")
    spare.renew()
    search_id = queue_search(stores)
    running = threading.Thread(target=supervisor(stores, "endless", spare).run_until_idle)
    running.start()
    search_pid(stores, search_id)
    getattr(stores.control, request_)(search_id)
    running.join(60)
    wait_for_state(stores, search_id, state)


@pytest.mark.long
def test_without_one_that_lives_the_search_gets_a_process_of_its_own(stores: Stores, make_spare: MakeSpare) -> None:
    spare = make_spare("work")
    spare.renew()
    killed = pid_of(spare)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: is_gone(killed), "the process is gone")
    search_id = queue_search(stores)
    assert supervisor(stores, "work", spare).run_until_idle() == 1
    assert stores.searches.get(search_id).state is SearchState.SUCCEEDED
    assert search_pid(stores, search_id) != killed


def test_one_that_waited_too_long_is_ended(make_spare: MakeSpare) -> None:
    spare = make_spare("work", spare_idle_s=0.3)
    spare.renew()
    waiting = pid_of(spare)
    wait_for(lambda: is_gone(waiting), "the process is ended")
    wait_for(lambda: spare.pid is None, "it is forgotten")


def test_it_is_started_once_and_not_at_all_if_the_settings_say_so(make_spare: MakeSpare) -> None:
    spare = make_spare("work")
    spare.renew()
    waiting = pid_of(spare)
    spare.renew()
    assert pid_of(spare) == waiting
    none = make_spare("work", spare_idle_s=0)
    none.renew()
    assert none.pid is None


@pytest.mark.long
def test_it_rests_before_it_prepares_and_takes_a_search_meanwhile(
    stores: Stores, make_spare: MakeSpare, capfd: pytest.CaptureFixture[str]
) -> None:
    rested = make_spare("work")
    rested.renew(rest_s=0.2)
    wait_for(lambda: "prepared" in capfd.readouterr().out, "it prepares after its rest")
    resting = make_spare("work")
    resting.renew(rest_s=1000)
    search_id, taken = queue_search(stores), pid_of(resting)
    assert supervisor(stores, "work", resting).run_until_idle() == 1
    assert search_pid(stores, search_id) == taken
    assert "prepared" not in capfd.readouterr().out


def test_it_ends_with_its_parent(settings: Settings) -> None:
    program = (
        "import sys, time; from store.settings import Settings; from worker.spare import Spare;"
        "spare = Spare(sys.argv[1:], Settings()); spare.renew(); print(spare.pid, flush=True); time.sleep(100)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, *command("work")], env=settings.environment(), stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        waiting = int(parent.stdout.readline())
        assert not is_gone(waiting)
        parent.kill()
    wait_for(lambda: is_gone(waiting), "the process is gone")
