"""Run states: what a search needs to go on after a crash. Atomic to write, verified to read, never unpickled blindly.

A state is a nested dict of tensors, numbers, strings and lists, so `weights_only` loading reads it. Its tensors are
written and read on the CPU, wherever a search computes: each phase puts them on its device. Written to a temporary
file, fsynced, renamed; its name carries its number and its SHA-256.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import CheckpointCorrupt, CheckpointError
from autonl_core.files import check_room, sha256_of, write_atomically
from autonl_core.run.host_options import SAVE_STEPS
from autonl_core.spec.config import CHANGES_NOTHING, SearchConfig
from autonl_core.spec.history import History
from autonl_core.spec.progress import KEPT_RUN_STATES, SavedState

SAVING_SHARE = 20  # saving takes at most one part in so many of the time, unless too much work could be lost
MAX_LOST_S = 60.0  # of work that a process may lose which is killed at any moment
_SAVE_AFTER_S = 30.0  # where saving costs little
ROOM_STATES = 3  # this one, and what a search writes besides

StateDict = dict[str, Any]  # as it is saved: nested dicts, lists and tuples of tensors, numbers and strings


@dataclass(frozen=True)
class RunHeader:
    """What every run state holds besides the state of its phase: of which search it is, and what has been done."""

    config: Mapping[str, Any]  # SearchConfig as JSON
    dataset: str  # its fingerprint
    seconds_by_phase: Mapping[str, float]
    history: History
    work_done: float
    exact: bool
    micro_batches: int
    environment: Mapping[str, str | int]

    def to_state(self) -> StateDict:
        """Plain values: `from_state` gives the header back."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"history": self.history.to_state(), "seconds_by_phase": dict(self.seconds_by_phase)}

    def check_same_search(self, config: SearchConfig, dataset: DatasetSpec) -> None:
        """Raises CheckpointError if the state belongs to another configuration or dataset.

        What changes nothing in the network may differ, as may further baselines, which come after it. An earlier
        version's state lacks what is newer.
        """
        ours = {**config.to_json(), "dataset": dataset.fingerprint}
        ours_now = config.model_dump(mode="json", include=set(CHANGES_NOTHING))
        saved_config = SearchConfig.stored({**self.config, **ours_now})
        if config.baselines[: len(saved_config.baselines)] == saved_config.baselines:
            saved_config = saved_config.model_copy(update={"baselines": config.baselines})
        saved = {**saved_config.to_json(), "dataset": self.dataset}
        changed = [f"{key} was {saved.get(key)!r}, is {ours[key]!r}" for key in ours if saved.get(key) != ours[key]]
        if changed:
            raise CheckpointError(f"the run state is of another search: {'; '.join(changed)}")

    @staticmethod
    def from_state(state: StateDict) -> RunHeader:
        """The header of a run state; one of an earlier version lacks what is newer."""
        return RunHeader(
            config=state["config"],
            dataset=state["dataset"],
            seconds_by_phase=state["seconds_by_phase"],
            history=History.from_state(state.get("history", {})),
            work_done=state["work_done"],
            exact=state["exact"],
            micro_batches=state.get("micro_batches", 1),
            environment=state["environment"],
        )


class RunStates:
    """The run states of one attempt, in a folder of its own; numbers go on from those of earlier attempts.

    Args:
        save_steps: training steps after which a new run state is due.
        reserve_bytes: what has to stay free on the disk of the folder.
    """

    def __init__(
        self, folder: Path, earlier: Sequence[SavedState], save_steps: int = SAVE_STEPS, reserve_bytes: int = 0
    ) -> None:
        self.folder = folder
        self._reserve_bytes = reserve_bytes
        self.step = max((state.step for state in earlier), default=0)
        self._size_bytes = max((state.size_bytes for state in earlier), default=0)
        self._kept: list[Path] = []
        self._save_steps = save_steps
        self._steps_unsaved = 0
        self._saved_at, self._saving_s = -math.inf, 0.0
        self._unsaved_since = self._step_ended_at = time.monotonic()

    def save(self, state: StateDict) -> SavedState:
        """Write `state`. Older ones stay until `forget_old`.

        Raises:
            OSError (ENOSPC): there is less room than `ROOM_STATES` run states take; nothing was written.
        """
        check_room(self.folder, ROOM_STATES * self._size_bytes, self._reserve_bytes)
        started = time.monotonic()
        path = self.folder / f"state-{self.step + 1:06d}.pt"
        write_atomically(path, lambda temporary: torch.save(on_cpu(state), temporary))
        self.step += 1
        self._size_bytes = path.stat().st_size
        self._kept.append(path)
        self._steps_unsaved = 0
        saved = SavedState(path, sha256_of(path), self._size_bytes, self.step)
        self._unsaved_since = started
        self._saved_at = self._step_ended_at = time.monotonic()
        self._saving_s = self._saved_at - started
        return saved

    def due_after_step(self) -> bool:
        """Count one more step; whether a run state is due: after so many of them, or so much time.

        A machine may be slow, or a step long. The time is short enough for two more such steps and the saving.
        """
        moment = time.monotonic()
        step_s, self._step_ended_at = moment - self._step_ended_at, moment
        self._steps_unsaved += 1
        return self._steps_unsaved >= self._save_steps or self._due_within(2 * step_s, moment)

    def due_before(self, work_s: float) -> bool:
        """Whether a run state is due before work that takes about so long, and ends with one at the earliest."""
        return self._due_within(work_s, time.monotonic())

    def _due_within(self, work_s: float, moment: float) -> bool:
        cheap_s = max(_SAVE_AFTER_S, SAVING_SHARE * self._saving_s)
        return moment - self._unsaved_since >= min(cheap_s, MAX_LOST_S - self._saving_s - work_s)

    def due_after_epoch(self) -> bool:
        """Whether the last run state is old enough that another costs little time: epochs can be short."""
        return time.monotonic() - self._saved_at >= SAVING_SHARE * self._saving_s

    def forget_old(self) -> None:
        """Delete all but the newest of this attempt, once the newest is recorded where a resume will look for it."""
        for old in self._kept[:-KEPT_RUN_STATES]:
            old.unlink(missing_ok=True)
        self._kept = self._kept[-KEPT_RUN_STATES:]


def on_cpu(value: Any) -> Any:
    """`value`, nested dicts, lists and tuples, with all tensors on the CPU; those that are there stay the same."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: on_cpu(each) for key, each in value.items()}
    return type(value)(map(on_cpu, value)) if isinstance(value, (list, tuple)) else value


def load_newest(states: Sequence[SavedState], on_bad: Callable[[SavedState, str], None]) -> StateDict | None:
    """The newest good state, or None if there were none to begin with. Bad ones are reported and passed over.

    Raises:
        CheckpointCorrupt: states were given, and every one is missing or damaged. Starting over would hide the loss.
    """
    for saved in sorted(states, key=lambda state: state.step, reverse=True):
        problem = _problem_of(saved)
        if problem is None:
            state: StateDict = torch.load(saved.path, map_location="cpu", weights_only=True)
            return state
        on_bad(saved, problem)
    if states:
        newest = max(states, key=lambda state: state.step)
        raise CheckpointCorrupt(
            f"none of the {len(states)} run states that are left can be read (the newest is {newest.path.name}), so "
            "the search cannot go on where it was; start it again as a new one"
        )
    return None


def _problem_of(saved: SavedState) -> str | None:
    if not saved.path.is_file():
        return "the file is missing"
    found = sha256_of(saved.path)
    return None if found == saved.sha256 else f"sha256 is {found[:12]}..., recorded {saved.sha256[:12]}..."
