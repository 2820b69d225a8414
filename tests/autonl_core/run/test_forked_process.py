"""A process that another one forks: it answers, others work meanwhile, and it ends with the one that forked it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from autonl_core.run.forked_process import ForkedProcess
from autonl_core.run.prepared_process import PreparedProcess
from tests.servers import wait_for
from tests.worker.scripted_supervisor import is_gone

PROGRAM = """
import json, os, sys, time
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


class Pair(NamedTuple):
    above: PreparedProcess
    forked: ForkedProcess
    pid: int  # of the forked process, which has read a line


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    above, forked, file = PreparedProcess([sys.executable, "-c", PROGRAM]), ForkedProcess(), tmp_path / "pid"
    above.start(forked)
    forked.tell(["tell", str(file)])
    wait_for(lambda: file.exists() and file.read_text() != "", "it has read the line")
    yield Pair(above, forked, int(file.read_text()))
    above.end()
    forked.end()


def nothing() -> None: ...


def test_it_prepares_and_answers(pair: Pair) -> None:
    assert pair.forked.started
    assert pair.pid != pair.above.pid
    called: list[str] = []
    printed = pair.forked.serve(["answer", "42"], meanwhile=lambda: called.append("drawn"), still_wanted=nothing)
    assert (printed, called) == (["answer 42"], ["drawn"])
    assert not pair.forked.started


def test_a_stop_ends_the_wait_and_then_the_process(pair: Pair) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        pair.forked.serve(["sleep", ""], meanwhile=nothing, still_wanted=stop)
    pair.above.end()
    wait_for(lambda: is_gone(pair.pid), "it is gone with the process that forked it")


def test_without_a_request_it_ends_when_its_pipe_is_closed(pair: Pair) -> None:
    pair.forked.end()
    pair.forked.end()
    wait_for(lambda: is_gone(pair.pid), "it is gone")


def test_one_that_died_has_no_answer(pair: Pair) -> None:
    pair.above.end()
    assert pair.forked.serve(["answer", "42"], meanwhile=nothing, still_wanted=nothing) == []
