"""A process that another one forks: it answers, others work meanwhile, and it ends with the one that forked it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autonl_core.run.forked_process import ForkedProcess
from autonl_core.run.prepared_process import PreparedProcess
from tests.servers import wait_for
from tests.worker.scripted_supervisor import is_gone

PROGRAM = """
import json, os, runpy, sys, time
from autonl_core.host.parent import end_with_parent
given, answers = int(sys.argv[1]), int(sys.argv[2])
if os.fork() == 0:
    end_with_parent()
    os.dup2(given, 0), os.dup2(answers, 1)
    for line in sys.stdin:
        word, argument = json.loads(line)
        if word == "tell":
            open(argument, "w").write(str(os.getpid()))
        elif word == "sleep":
            time.sleep(1000)
        else:
            print(word, argument, flush=True)
            break
    os._exit(0)
os.close(given), os.close(answers)
sys.stdin.readline()
"""


@pytest.fixture
def processes() -> Iterator[tuple[PreparedProcess, ForkedProcess]]:
    above, forked = PreparedProcess([sys.executable, "-c", PROGRAM]), ForkedProcess()
    yield above, forked
    above.end()
    forked.end()


def nothing() -> None: ...


def pid_of(forked: ForkedProcess, file: Path) -> int:
    """The process is told to write it."""
    forked.tell(["tell", str(file)])
    wait_for(lambda: file.exists() and file.read_text() != "", "it has read the line")
    return int(json.loads(file.read_text()))


def test_it_prepares_and_answers(processes: tuple[PreparedProcess, ForkedProcess], tmp_path: Path) -> None:
    above, forked = processes
    above.start(forked)
    assert forked.started
    assert pid_of(forked, tmp_path / "pid") != above.pid
    called: list[str] = []
    printed = forked.serve(["answer", "42"], meanwhile=lambda: called.append("drawn"), still_wanted=nothing)
    assert (printed, called) == (["answer 42"], ["drawn"])
    assert not forked.started


def test_a_stop_ends_the_wait_and_then_the_process(
    processes: tuple[PreparedProcess, ForkedProcess], tmp_path: Path
) -> None:
    above, forked = processes
    above.start(forked)
    pid = pid_of(forked, tmp_path / "pid")

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        forked.serve(["sleep", ""], meanwhile=nothing, still_wanted=stop)
    above.end()
    wait_for(lambda: is_gone(pid), "it is gone with the process that forked it")


def test_without_a_request_it_ends_when_its_pipe_is_closed(
    processes: tuple[PreparedProcess, ForkedProcess], tmp_path: Path
) -> None:
    above, forked = processes
    above.start(forked)
    pid = pid_of(forked, tmp_path / "pid")
    forked.end()
    forked.end()
    wait_for(lambda: is_gone(pid), "it is gone")


def test_one_that_died_has_no_answer(processes: tuple[PreparedProcess, ForkedProcess], tmp_path: Path) -> None:
    above, forked = processes
    above.start(forked)
    pid_of(forked, tmp_path / "pid")
    above.end()
    assert forked.serve(["answer", "42"], meanwhile=nothing, still_wanted=nothing) == []
