"""Run states: whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from autonl_core.errors import CheckpointError
from autonl_core.files import write_atomically
from autonl_core.run import run_state
from autonl_core.run.run_state import MAX_LOST_S, RunStates, load_newest, on_cpu
from autonl_core.spec.progress import SavedState


def fail(state: SavedState, problem: str) -> None:
    raise AssertionError(f"{state.path}: {problem}")


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state: dict[str, Any] = {
        "phase": "training",
        "w": torch.arange(6.0).reshape(2, 3),
        "nested": {"position": [3, 1], "lr": 0.1},
    }
    saved = RunStates(tmp_path, []).save(state)
    assert saved.size_bytes == saved.path.stat().st_size
    loaded = load_newest([saved], fail)
    assert loaded is not None
    assert torch.equal(loaded.pop("w"), state.pop("w"))
    assert loaded == state


def test_tensors_of_a_gpu_are_written_as_those_of_the_cpu() -> None:
    with FakeTensorMode():
        state: dict[str, Any] = {"weights": {"w": torch.ones(2, device="cuda")}, "of": [(torch.zeros(1), 3)]}
        written = on_cpu(state)
        assert written["weights"]["w"].device.type == "cpu"
        assert written["of"][0][0] is state["of"][0][0]
        assert written["of"][0][1] == 3


def test_numbers_go_on_over_attempts(tmp_path: Path) -> None:
    first = RunStates(tmp_path / "1", [])
    earlier = [first.save({"n": n}) for n in range(3)]
    assert [state.step for state in earlier] == [1, 2, 3]
    assert RunStates(tmp_path / "2", earlier).save({}).step == 4


def test_after_an_epoch_one_is_due_if_saving_stays_a_twentieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([99.0, 100.0, 102.0, 141.9, 142.0, 200.0, 200.5, 210.4, 210.5])
    monkeypatch.setattr(run_state, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    states = RunStates(tmp_path, [])
    states.save({"n": 1})  # from 100 s to 102 s: 20 times its 2 s later, another is due
    assert [states.due_after_epoch() for _ in range(2)] == [False, True]
    states.save({"n": 2})  # half a second: 10 s later
    assert [states.due_after_epoch() for _ in range(2)] == [False, True]
    with pytest.raises(StopIteration):
        next(clock)


class SetClock:
    """In place of the module `time`: a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def due_times(monkeypatch: pytest.MonkeyPatch, folder: Path, *, step_s: float, saving_s: float) -> list[float]:
    """When, in seconds, run states are begun in five minutes of steps that take `step_s`; saving takes `saving_s`."""
    clock = SetClock()

    def write_slowly(path: Path, write: object) -> None:
        path.write_bytes(b"a state")
        clock.now += saving_s

    monkeypatch.setattr(run_state, "time", clock)
    monkeypatch.setattr(run_state, "write_atomically", write_slowly)
    states, begun = RunStates(folder, [], save_steps=1_000_000), [0.0]
    while clock.now < 300:
        clock.now += step_s
        if states.due_after_step():
            begun.append(clock.now)
            states.save({})
    return begun


@pytest.mark.parametrize(
    ("step_s", "saving_s", "apart_s"),
    [
        (0.5, 0.1, 30),  # costs little
        (0.5, 2, 40),  # 20 times what it takes
        (0.5, 10, 49),  # that would be 200 s: 60 s less the saving and two steps
        (12, 3, 36),  # the last step after which another one could end too late
        (40, 1, 41),  # after every step
    ],
)
def test_slow_steps_are_saved_by_time(
    step_s: float, saving_s: float, apart_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = due_times(monkeypatch, tmp_path, step_s=step_s, saving_s=saving_s)
    apart = [later - earlier for earlier, later in pairwise(begun)]
    assert sum(apart) > 300 - MAX_LOST_S
    assert apart[1:] == [pytest.approx(apart_s, abs=step_s)] * (len(apart) - 1)
    # Killed just before a state is complete, a search loses what was done since the one before was begun.
    assert all(each + saving_s <= max(MAX_LOST_S, 2 * (step_s + saving_s)) for each in apart)


def test_work_that_would_take_too_long_is_begun_with_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetClock()
    monkeypatch.setattr(run_state, "time", clock)
    states = RunStates(tmp_path, [])
    clock.now = 10.0
    assert [states.due_before(work_s) for work_s in (49, 51)] == [False, True]


def test_after_the_first_epoch_of_an_attempt_one_is_due(tmp_path: Path) -> None:
    assert RunStates(tmp_path, []).due_after_epoch()


def test_bad_states_are_reported_and_passed_over(tmp_path: Path) -> None:
    states = RunStates(tmp_path, [])
    good, truncated = states.save({"n": 1}), states.save({"n": 2})
    truncated.path.write_bytes(truncated.path.read_bytes()[:-1])
    missing = SavedState(tmp_path / "nowhere.pt", "0" * 64, 1, 3)
    reported: list[int] = []
    loaded = load_newest([good, truncated, missing], lambda state, problem: reported.append(state.step))
    assert loaded == {"n": 1}
    assert reported == [3, 2]


def test_weights_that_rotted_are_noticed_although_torch_loads_them(tmp_path: Path) -> None:
    states = RunStates(tmp_path, [])
    good, rotten = states.save({"w": torch.zeros(8)}), states.save({"w": torch.ones(8)})
    one, half = b"\x00\x00\x80\x3f", b"\x00\x00\x00\x3f"  # as float32: a single bit makes the difference
    content = rotten.path.read_bytes()
    rotten.path.write_bytes(content.replace(8 * one, half + 7 * one))
    assert torch.load(rotten.path, weights_only=True)["w"].sum() == 7.5
    loaded = load_newest([good, rotten], lambda state, problem: None)
    assert loaded is not None
    assert loaded["w"].sum() == 0


def test_nothing_to_begin_with_is_not_an_error_but_nothing_good_is(tmp_path: Path) -> None:
    assert load_newest([], fail) is None
    with pytest.raises(CheckpointError, match="none of the 1 run states"):
        load_newest([SavedState(tmp_path / "x.pt", "0" * 64, 1, 1)], lambda state, problem: None)


def test_code_in_a_state_is_never_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    saved = RunStates(tmp_path, []).save({"harmful": Harmful()})
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_newest([saved], fail)
    assert not (tmp_path / "harm").exists()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def write_half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, write_half)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "state.pt"
    script = (
        "import sys, torch; from pathlib import Path; from autonl_core.files import write_atomically\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    write_atomically(Path(sys.argv[1]), lambda p: torch.save({'n': torch.full((200_000,), float(n))}, p))\n"
        "    print(n, flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        written = [int(writer.stdout.readline()) for _ in range(5)][-1]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    values = torch.load(target, weights_only=True)["n"]
    assert values.min() == values.max() >= written
