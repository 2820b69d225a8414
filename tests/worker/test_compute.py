"""CPU time of search processes: measured, counted once, and limited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autonl_core.datasets.spec import DIGITS
from store.settings import Settings
from store.states import SearchState, StopReason
from store.stores import Stores, open_stores
from tests.servers import wait_for
from tests.store.sample_rows import CONFIG, queue_search
from tests.worker.scripted_supervisor import process, run, running, search_pid
from worker.process import SupervisedProcess
from worker.process_tree import CpuMeter, cpu_s

BURN = "import time\nwhile time.process_time() < {seconds}: pass"
NESTED = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}], check=True)\n{after}"


def used_today(stores: Stores) -> float:
    today = stores.usage.today()
    return sum(day.compute_s for day in stores.usage.days(today, today))


def with_ceiling(stores: Stores, max_compute_s: float) -> str:
    return stores.searches.create(CONFIG.model_copy(update={"max_compute_s": max_compute_s}), DIGITS)[0].id


class TestMeter:
    def test_what_a_process_and_those_that_it_started_have_used(self, settings: Settings, tmp_path: Path) -> None:
        """0.4 s of its own after 0.6 s of one that it waited for, read after the end."""
        script = NESTED.format(burn=BURN.format(seconds=0.6), after=BURN.format(seconds=0.4))
        started = SupervisedProcess.start([sys.executable, "-S", "-c", script], tmp_path / "log", settings)
        assert started.wait(30) == 0
        assert 0.95 <= started.compute_s() < 2.5  # the kernel counts in hundredths, of each process
        started.reap()
        assert 0.95 <= started.compute_s() < 2.5  # the kernel counts in hundredths, of each process

    def test_one_that_still_runs_counts_and_is_not_lost_when_all_are_killed(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        script = NESTED.format(burn=BURN.format(seconds=1000), after="")
        started = SupervisedProcess.start([sys.executable, "-S", "-c", script], tmp_path / "log", settings)
        wait_for(lambda: started.compute_s() > 0.5, "half a second is used")
        started.reap()
        assert started.compute_s() > 0.5

    def test_what_was_used_before_does_not_count(self) -> None:
        with subprocess.Popen([sys.executable, "-S", "-c", BURN.format(seconds=1000)]) as busy:
            try:
                wait_for(lambda: cpu_s(busy.pid) > 0.5, "half a second is used")
                assert CpuMeter(busy.pid).read() < 0.5
            finally:
                busy.kill()

    def test_a_process_that_is_gone_has_used_nothing_more(self) -> None:
        with subprocess.Popen([sys.executable, "-S", "-c", "pass"]) as ended:
            ended.wait()
        assert cpu_s(ended.pid) == 0.0


def test_the_compute_of_an_attempt_is_counted(stores: Stores) -> None:
    search_id = queue_search(stores)
    run(stores, "work")
    (attempt,) = stores.searches.attempts(search_id)
    assert attempt.compute_s > 0.1  # an interpreter with the stores does not start for less
    assert used_today(stores) == pytest.approx(attempt.compute_s)


@pytest.mark.long
def test_a_killed_attempt_is_counted_once_too(stores: Stores) -> None:
    search_id = queue_search(stores)
    with running(stores, "busy"):
        wait_for(lambda: used_today(stores) > 0.5, "a beat reports what is used")
        os.kill(search_pid(stores, search_id), signal.SIGKILL)
        wait_for(lambda: len(stores.searches.attempts(search_id)) == 2, "the next attempt")
        stores.control.cancel(search_id)
    attempts = stores.searches.attempts(search_id)
    assert attempts[0].compute_s > 0.5
    assert used_today(stores) == pytest.approx(sum(attempt.compute_s for attempt in attempts))


@pytest.mark.long
def test_what_a_killed_supervisor_saw_last_is_counted(stores: Stores, settings: Settings) -> None:
    search_id = queue_search(stores)
    with process(settings, "busy") as supervisor:
        wait_for(lambda: used_today(stores) > 0.5, "a beat reports what is used")
        supervisor.kill()
    time.sleep(0.1)
    (attempt,) = stores.searches.attempts(search_id)
    assert used_today(stores) == pytest.approx(attempt.compute_s)


@pytest.mark.long
def test_a_search_that_has_used_its_compute_stops_with_its_best_network(stores: Stores) -> None:
    """4 s, over two attempts: the second may only use what the first left. Both starts count, a second each or more."""
    search_id = with_ceiling(stores, 4)
    with running(stores, "busy"):
        wait_for(lambda: used_today(stores) > 0.5, "a beat reports what is used")
        os.kill(search_pid(stores, search_id), signal.SIGKILL)
        wait_for(lambda: stores.searches.get(search_id).state.final, "it ends")
    search, attempts = stores.searches.get(search_id), stores.searches.attempts(search_id)
    assert (search.state, search.stop_reason) == (SearchState.CANCELLED, StopReason.BUDGET_SPENT)
    assert search.best_arch_id is not None
    assert stores.architectures.artifact(search.best_arch_id, "safetensors", search_id=search_id) is not None
    assert len(attempts) == 2
    assert 4 <= sum(attempt.compute_s for attempt in attempts) < 8


@pytest.mark.long
def test_resumed_with_more_it_goes_on_until_that_is_spent(stores: Stores) -> None:
    search_id = with_ceiling(stores, 0.8)
    run(stores, "busy")
    assert stores.searches.get(search_id).stop_reason is StopReason.BUDGET_SPENT
    used_s = used_today(stores)
    stores.control.resume(search_id, max_compute_s=used_s + 1)
    run(stores, "busy")
    assert used_today(stores) >= used_s + 1
    assert stores.searches.get(search_id).stop_reason is StopReason.BUDGET_SPENT


def test_one_that_does_not_stop_when_asked_is_killed_and_has_spent_it(settings: Settings) -> None:
    short = open_stores(settings.model_copy(update={"stop_grace_s": 0.5}))
    search_id = with_ceiling(short, 0.1)
    run(short, "deaf")
    search = short.searches.get(search_id)
    assert (search.state, search.stop_reason) == (SearchState.CANCELLED, StopReason.BUDGET_SPENT)
    assert "was killed" in str(short.searches.attempts(search_id)[0].detail)
    short.close()
