"""What every phase of one search shares: data, space, device, pace, and the ways to report, save and stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from autonl_core.data.augment import LARGE_MIN_SCALE, LARGE_PX, Augmentation
from autonl_core.data.batches import Batch, Loader
from autonl_core.data.prepare import ImageSet, PreparedData, prepare, split_validation
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import CheckpointError, Interrupted
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import Network
from autonl_core.run.environment import environment
from autonl_core.run.pace import Pace, planned_work
from autonl_core.run.run_state import RunStates, State, load_newest
from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space, scale_baseline
from autonl_core.spec.history import History
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import ArchitectureRecord, Phase, Progress, ProgressSink, SavedState, StopToken
from autonl_core.supernet.gates import GateTable
from autonl_core.training.evaluate import evaluate, first_images, recalibrate_batch_norm
from autonl_core.training.micro_batches import MicroBatches

REPORT_INTERVAL_S = 0.5
BEST_NAME = "best.safetensors"
QUICK_IMAGES = 2_000  # to judge what a stopping search keeps: its worker does not wait long


@dataclass(frozen=True)
class BestSoFar:
    """A network within the budget; without `val_top1_pct`, that and its batch norms are still to be measured."""

    network: Network
    val_top1_pct: float | None = None


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
    cache_limit_bytes: int
    sink: ProgressSink
    stop: StopToken
    states: RunStates
    pace: Pace
    save_steps: int  # training steps between two run states inside an epoch
    micro_batches: MicroBatches
    exact: bool = True  # until a resume, or memory that runs out, proves otherwise
    best_so_far: Callable[[], BestSoFar] | None = None  # set by each phase that has one
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=History)
    dataset_report: Mapping[str, Any] = field(default_factory=dict)  # of the check of the data set, if there was one
    _phase_mark: float = field(default_factory=time.monotonic)
    _last_report: float = 0.0
    _steps_unsaved: int = 0

    def resume(self, saved: Sequence[SavedState]) -> State:
        """The newest good run state, or the state every search begins with."""

        def on_bad(state: SavedState, problem: str) -> None:
            self.sink.event("checkpoint_corrupt", {"step": state.step, "problem": problem})

        state = load_newest(saved, self.device, on_bad)
        if state is None:
            return {"phase": "searching"}
        self._check_same_search(state)
        self.seconds_by_phase = dict(state["seconds_by_phase"])
        self.history = History.from_state(state.get("history", {}))
        self.pace.done = self.pace.done_at_start = state["work_done"]
        here = environment(self.device)
        self.micro_batches.parts = max(self.micro_batches.parts, state.get("micro_batches", 1))
        same_place = state["environment"] == here and self.device.type == "cpu"
        self.exact = state["exact"] and same_place and self.micro_batches.parts == 1
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
            "history": self.history.to_state(),
            "work_done": self.pace.done,
            "exact": self.exact,
            "micro_batches": self.micro_batches.parts,
            "environment": environment(self.device),
        }
        self.sink.saved(self.states.save(state | record))
        self.states.forget_old()  # only now: until the sink has accepted the new one, they may be needed
        self._steps_unsaved = 0

    def stop_if_asked(self, state_now: Callable[[], State] | None = None) -> None:
        """Save what `state_now()` returns and raise Interrupted, if the stop token says so.

        Without `state_now`, the newest run state is good enough. A user who cancels or pauses gets the best so far,
        which a worker that only stops has no time to make.
        """
        request = self.stop.stop_requested()
        if request is None:
            return
        if state_now is not None:
            self.save(state_now())
        if request != "drain":
            try:
                self.keep_best()
            except (MemoryError, RuntimeError, OSError) as error:  # to stop is what was asked for, and must not fail
                self.sink.event("best_not_kept", {"problem": str(error)})
        raise Interrupted(request)

    def memory_ran_out(self, parts: int) -> None:
        """Tell that batches are computed in `parts` parts from now on."""
        self.exact = False
        self.sink.event("micro_batches", {"parts": parts})

    def save_if_due(self, state_now: Callable[[], State]) -> None:
        """Save what `state_now()` returns if `save_steps` steps were made since the last run state."""
        self._steps_unsaved += 1
        if self._steps_unsaved >= self.save_steps:
            self.save(state_now())

    def keep_best(self) -> None:
        """Hand over the best network so far, scored on validation images if it never learned from them."""
        if self.best_so_far is None:
            return
        best = self.best_so_far()
        val_top1_pct = best.val_top1_pct
        if val_top1_pct is None:
            val_top1_pct = self.quick_top1_pct(best.network)
        record = self.record_of(best.network.arch, val_top1_pct=val_top1_pct)
        checkpoint = self.work_dir / BEST_NAME
        save_checkpoint(checkpoint, best.network, self.dataset, self.data)
        self.sink.best_kept(record, checkpoint)

    def some_top1_pct(self, network: Network) -> float:
        """Top-1 on some validation images, of a network that is ready for use."""
        return evaluate(network.eval(), first_images(self.loader.plain(self.val), QUICK_IMAGES)).top1_pct

    def quick_top1_pct(self, network: Network) -> float:
        """The same, after making batch norms fit: what a stopping search has time for."""
        recalibrate_batch_norm(network, self.loader.plain(self.fit), max_images=QUICK_IMAGES)
        return self.some_top1_pct(network)

    def enter(self, phase: Phase) -> None:
        """Report the beginning of a phase."""
        self._phase_mark = time.monotonic()
        self._last_report = 0.0
        self.tell(phase)

    def leave(self, phase: Phase) -> None:
        self._count_seconds(phase)

    def seconds_so_far(self, phase: Phase) -> Mapping[str, float]:
        """Seconds by phase, of `phase` up to now."""
        self._count_seconds(phase)
        return dict(self.seconds_by_phase)

    def tell(self, phase: Phase, epoch: int = 0, epochs: int = 0, step: int = 0, steps: int = 0) -> None:
        """Report progress, at most every half second."""
        now = time.monotonic()
        if now - self._last_report >= REPORT_INTERVAL_S:
            self._last_report = now
            self.sink.progress(Progress(phase, self.pace.fraction, epoch, epochs, step, steps, self.pace.eta_s()))

    def add_point(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        """Tell one point of the time series, and keep it for the report."""
        elapsed_s = sum(self.seconds_by_phase.values()) + time.monotonic() - self._phase_mark
        self.history.add(phase, epoch, round(elapsed_s, 2), values)
        self.sink.metrics(phase, epoch, values)

    def watched(self, phase: Phase, batches: Iterable[Batch]) -> Iterator[Batch]:
        """`batches`; between them the search tells that it is alive, and stops if it is asked to."""
        for batch in batches:
            self.tell(phase)
            self.stop_if_asked()
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
        """Raises CheckpointError if the state belongs to another configuration or data set.

        What the network is handed over as changes nothing in it. An earlier version's state lacks what is new.
        """
        of_export = {"export": self.config.export.to_json()}
        mine = {**self.config.to_json(), "dataset": self.dataset.fingerprint}
        its = {**SearchConfig.model_validate(state["config"] | of_export).to_json(), "dataset": state["dataset"]}
        changed = [f"{key} was {its.get(key)!r}, is {mine[key]!r}" for key in mine if its.get(key) != mine[key]]
        if changed:
            raise CheckpointError(f"the run state is of another search: {'; '.join(changed)}")

    def _count_seconds(self, phase: Phase) -> None:
        now = time.monotonic()
        self.seconds_by_phase[phase] = self.seconds_by_phase.get(phase, 0.0) + now - self._phase_mark
        self._phase_mark = now


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
    save_steps: int,
    micro_batches: int,
    limits: Limits,
    cache_limit_bytes: int,
) -> SearchRun:
    """Check the configuration, decode the data, split it: the phase `preparing`."""
    started = time.monotonic()
    space = resolve_space(config, dataset)
    for name in config.baselines:
        scale_baseline(name, space, config.flops_budget)  # or say now that it cannot be
    sink.progress(Progress("preparing", 0.0))

    def on_progress(done: float) -> None:
        sink.progress(Progress("preparing", 0.0))
        if (request := stop.stop_requested()) is not None:
            raise Interrupted(request)  # there is nothing to save, and nothing to keep

    data = prepare(dataset, space.resolution, cache_dir, on_progress, limits, cache_limit_bytes)
    if data.sharded:
        sink.event("images_decoded_in_every_epoch", {"images": data.report["images"], "cache_bytes": cache_limit_bytes})
    if data.report["unreadable"]:
        sink.event("unreadable_images", {"count": data.report["unreadable"], "problems": data.report["problems"]})
    fit, val = split_validation(data.train, config.val_fraction, config.seed)
    target = torch.device(device)
    run = SearchRun(
        config=config,
        dataset=dataset,
        table=GateTable(space),
        data=data,
        fit=fit,
        val=val,
        loader=Loader(data, target, config.seed, _augmentation(config, dataset, space.resolution)),
        device=target,
        work_dir=work_dir,
        cache_dir=cache_dir,
        cache_limit_bytes=cache_limit_bytes,
        sink=sink,
        stop=stop,
        states=RunStates(work_dir, resume_from),
        pace=Pace(total=planned_work(config, space.macs_range()[1], len(fit), len(data.train))),
        save_steps=save_steps,
        micro_batches=MicroBatches(micro_batches),
    )
    run.exact = run.micro_batches.parts == 1
    run.micro_batches.on_split = run.memory_ran_out
    run.seconds_by_phase["preparing"] = time.monotonic() - started
    return run


def _augmentation(config: SearchConfig, dataset: DatasetSpec, resolution: int) -> Augmentation:
    asked = config.augment
    by_default = LARGE_MIN_SCALE if resolution > LARGE_PX else 1.0
    return Augmentation(
        flip=dataset.horizontal_flip if asked.horizontal_flip is None else asked.horizontal_flip,
        padding_px=round(asked.crop_padding * resolution),
        erase=asked.erase,
        crop_min_scale=by_default if asked.resized_crop_min_scale is None else asked.resized_crop_min_scale,
        color_jitter=asked.color_jitter,
        policy=asked.policy,
        mixup=asked.mixup,
        cutmix=asked.cutmix,
    )
