"""Confined processes as a check process sees them: results, time limits, crashes, and what cannot be believed."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from autonl_core.host.confinement import FileAccess
from autonl_core.host.messages import DISK_FULL, FAILED, OUT_OF_MEMORY
from worker.confined_process import ConfinedProcess, ConfinedProcessEnded, OutOfTime

MODULE = "tests.worker.scripted_confined"


def run(behaviour: str, limit_s: float = 60, access: FileAccess | None = None) -> tuple[dict[str, Any], list[Any]]:
    """The result, and all other messages."""
    messages: list[Any] = []
    with ConfinedProcess(MODULE, access or FileAccess(), limit_s) as process:
        result = process.run(f"{behaviour}\n".encode(), lambda kind, value: messages.append((kind, value)))
    return dict(result), messages


def test_it_gets_a_task_and_answers_with_messages_and_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("AUTONL_BROKER_URL", "redis://secret")
    result, messages = run("answer")
    assert (result["seen"], messages) == ("answer", [("progress", 0.5)])
    assert not {"DATABASE_URL", "AUTONL_BROKER_URL"} & {*result["environment"]}


def test_one_that_runs_for_ever_is_ended_and_the_message_says_the_limit() -> None:
    began = time.monotonic()
    with pytest.raises(OutOfTime, match="took more than 2 s, the limit for files like these"):
        run("forever", limit_s=2)
    assert 2 <= time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("crash", -signal.SIGSEGV), ("no memory", OUT_OF_MEMORY), ("disk full", DISK_FULL), ("nonsense", FAILED)],
)
def test_one_that_ends_without_a_result_is_described(behaviour: str, code: int) -> None:
    access = FileAccess(writable=[Path("/dev/full")]) if behaviour == "disk full" else FileAccess()
    with pytest.raises(ConfinedProcessEnded) as ended:
        run(behaviour, access=access)
    assert ended.value.returncode == code
