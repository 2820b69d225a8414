"""What every phase of one search shares: data, space, device, pace, and the ways to report, save and stop."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autonl_core import arch_string
from autonl_core.arch import ArchSpec
from autonl_core.checkpoint import RunStates, State, load_newest
from autonl_core.config import SearchConfig
from autonl_core.data.batches import Augmentation, Batch, Loader
from autonl_core.data.prepare import ImageSet, PreparedData, prepare, split_validation
from autonl_core.datasets import DatasetSpec
from autonl_core.errors import CheckpointError, Interrupted
from autonl_core.gates import GateTable
from autonl_core.macs import count_macs, count_params
from autonl_core.plan import resolve_space
from autonl_core.progress import ArchitectureRecord, Phase, Progress, ProgressSink, SavedState, StopToken

REPORT_INTERVAL_S = 0.5


@dataclass
class Pace:
    """How far a search is. Work is counted in image-MACs; `done` of `total` is the fraction, and its speed the ETA."""

    total: float
    done: float = 0.0
    done_at_start: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float:
        return min(0.999, self.done / self.total) if self.total else 0.0

    def eta_s(self) -> float | None:
        """Seconds to the end at the speed of this attempt; None until there is a speed to speak of."""
        worked = self.done - self.done_at_start
        if worked < 0.005 * self.total:
            return None
        return (time.monotonic() - self.started) * max(0.0, self.total - self.done) / worked


@dataclass
class SearchRun:
    """One attempt at one search."""

    config: SearchConfig
    dataset: DatasetSpec
    table: GateTable
    data: PreparedData
    fit: ImageSet  # training images that fit weights during the search
    val: ImageSet  # training images that only judge
    loader: Loader
    device: torch.device
    work_dir: Path
    cache_dir: Path
    sink: ProgressSink
    stop: StopToken
    states: RunStates
    pace: Pace
    exact: bool = True  # until a resume proves otherwise
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    _phase_mark: float = field(default_factory=time.monotonic)
    _last_report: float = 0.0

    def resume(self, saved: Sequence[SavedState]) -> State:
        """The newest good run state, or the state every search begins with."""

        def on_bad(state: SavedState, problem: str) -> None:
            self.sink.event("checkpoint_corrupt", {"step": state.step, "problem": problem})

        state = load_newest(saved, self.device, on_bad)
        if state is None:
            return {"phase": "searching"}
        self._check_same_search(state)
        self.seconds_by_phase = dict(state["seconds_by_phase"])
        self.pace.done = self.pace.done_at_start = state["work_done"]
        here = environment(self.device)
        self.exact = state["exact"] and state["environment"] == here and self.device.type == "cpu"
        if not self.exact:
            self.sink.event("inexact_resume", {"before": state["environment"], "now": here})
        self.sink.event("resumed", {"phase": state["phase"], "fraction": round(self.pace.fraction, 4)})
        return state

    def save(self, state: State) -> None:
        """Write a run state and tell the sink."""
        phase: Phase = state["phase"]
        self._count_seconds(phase)
        record = {
            "config": self.config.to_json(),
            "dataset": self.dataset.fingerprint,
            "seconds_by_phase": self.seconds_by_phase,
            "work_done": self.pace.done,
            "exact": self.exact,
            "environment": environment(self.device),
        }
        self.sink.saved(self.states.save(state | record))

    def stop_if_asked(self, state_now: Any) -> None:
        """Save what `state_now()` returns and raise Interrupted, if the stop token says so."""
        request = self.stop.stop_requested()
        if request is not None:
            self.save(state_now())
            raise Interrupted(request)

    def enter(self, phase: Phase) -> None:
        """Report the beginning of a phase."""
        self._phase_mark = time.monotonic()
        self._last_report = 0.0
        self.tell(phase)

    def leave(self, phase: Phase) -> None:
        self._count_seconds(phase)

    def tell(self, phase: Phase, epoch: int = 0, epochs: int = 0, step: int = 0, steps: int = 0) -> None:
        """Report progress, at most every half second."""
        now = time.monotonic()
        if now - self._last_report >= REPORT_INTERVAL_S:
            self._last_report = now
            self.sink.progress(Progress(phase, self.pace.fraction, epoch, epochs, step, steps, self.pace.eta_s()))

    def watched(self, phase: Phase, batches: Iterable[Batch]) -> Iterator[Batch]:
        """`batches`, telling that the search is alive between them."""
        for batch in batches:
            self.tell(phase)
            yield batch

    def record_of(self, arch: ArchSpec, **measured: Any) -> ArchitectureRecord:
        """An architecture with its MACs, parameters and whatever was measured."""
        return ArchitectureRecord(
            arch_id=arch.arch_id,
            arch=arch.to_json(),
            arch_string=arch_string.encode(arch),
            macs=count_macs(arch).total,
            params=count_params(arch),
            **measured,
        )

    def _check_same_search(self, state: State) -> None:
        """Raises CheckpointError if the state belongs to another configuration or data set."""
        mine = {**self.config.to_json(), "dataset": self.dataset.fingerprint}
        its = {**state["config"], "dataset": state["dataset"]}
        changed = [f"{key} was {its.get(key)!r}, is {mine[key]!r}" for key in mine if its.get(key) != mine[key]]
        if changed:
            raise CheckpointError(f"the run state is of another search: {'; '.join(changed)}")

    def _count_seconds(self, phase: Phase) -> None:
        now = time.monotonic()
        self.seconds_by_phase[phase] = self.seconds_by_phase.get(phase, 0.0) + now - self._phase_mark
        self._phase_mark = now


def environment(device: torch.device) -> Mapping[str, str | int]:
    """Everything that bit-for-bit repetition depends on."""
    return {
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }


def open_run(
    config: SearchConfig,
    dataset: DatasetSpec,
    work_dir: Path,
    *,
    sink: ProgressSink,
    stop: StopToken,
    resume_from: Sequence[SavedState],
    cache_dir: Path,
    device: str,
) -> SearchRun:
    """Check the configuration, decode the data, split it: the phase `preparing`."""
    started = time.monotonic()
    space = resolve_space(config, dataset)
    sink.progress(Progress("preparing", 0.0))
    data = prepare(dataset, space.resolution, cache_dir, lambda done: sink.progress(Progress("preparing", 0.0)))
    if data.report["unreadable"]:
        sink.event("unreadable_images", {"count": data.report["unreadable"], "problems": data.report["problems"]})
    fit, val = split_validation(data.train, config.val_fraction, config.seed)
    flip = config.augment.horizontal_flip
    augmentation = Augmentation(
        flip=dataset.horizontal_flip if flip is None else flip,
        padding_px=round(config.augment.crop_padding * space.resolution),
        erase=config.augment.erase,
    )
    target = torch.device(device)
    run = SearchRun(
        config=config,
        dataset=dataset,
        table=GateTable(space),
        data=data,
        fit=fit,
        val=val,
        loader=Loader(data, target, config.seed, augmentation),
        device=target,
        work_dir=work_dir,
        cache_dir=cache_dir,
        sink=sink,
        stop=stop,
        states=RunStates(work_dir, resume_from),
        pace=Pace(total=planned_work(config, space.macs_range()[1], len(fit), len(data.train))),
    )
    run.seconds_by_phase["preparing"] = time.monotonic() - started
    return run


def child_work(config: SearchConfig) -> float:
    """Work of training one image in a network of the budget, in MACs: forward, and twice that backward."""
    return 3.0 * config.flops_budget


def supernet_work(config: SearchConfig, largest_macs: int) -> float:
    """The same for one image in the supernet."""
    if config.algorithm == "autonl-paper":
        return 3.0 * largest_macs
    # two children, on the way from above to the budget, and the full supernet in every fourth step
    return 2 * 1.3 * child_work(config) + 3.0 * largest_macs / 4


def planned_work(config: SearchConfig, largest_macs: int, fit_images: int, train_images: int) -> float:
    """All work of a search in image-MACs, from the configuration alone."""
    finalist_passes, survivors = 0, config.supernet.finalists
    while survivors > 1:
        finalist_passes += survivors * config.supernet.finalist_epochs
        survivors = survivors // 2
    search = config.supernet.epochs * fit_images * supernet_work(config, largest_macs)
    passes = finalist_passes * fit_images + config.train.epochs * train_images
    return search + passes * child_work(config)
