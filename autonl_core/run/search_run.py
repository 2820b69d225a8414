"""One attempt at one search: what its phases share, and how each of them resumes, saves and stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from autonl_core.data.batches import Batch, BatchSource
from autonl_core.data.prepare import ImageSet, PreparedData, split_validation
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import Network
from autonl_core.parallel.ranks import ALONE, Ranks
from autonl_core.parallel.stopping import agreed_stop
from autonl_core.run.adapted import Adapted
from autonl_core.run.environment import environment, repeats_exactly
from autonl_core.run.forked_process import ForkedProcess
from autonl_core.run.host_options import HostOptions
from autonl_core.run.kept_supernet import KeptSupernet
from autonl_core.run.pace import NO_TEACHING, WorkPlan
from autonl_core.run.prepared_process import PreparedProcess
from autonl_core.run.pretrained import Pretrained
from autonl_core.run.reporter import Best, Reporter
from autonl_core.run.run_state import RunHeader, RunStates, StateDict, load_newest
from autonl_core.run.threads import ahead_threads, computing_with, shared_threads, threads_for
from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.pretrained_start import PretrainedStart
from autonl_core.spec.progress import ArchitectureRecord, Phase, SavedState, StopToken
from autonl_core.supernet.gates import GateTable
from autonl_core.training.evaluate import evaluate, first_images, recalibrate_batch_norm
from autonl_core.training.parts import BatchParts
from autonl_core.training.precision import float32_as

BEST_NAME, SUPERNET_NAME = "best.safetensors", "supernet.safetensors"
_AHEAD_S = 40.0  # before the end: how long the processes of the export may take to load
QUICK_IMAGES = 2_000  # to judge what a stopping search keeps: its worker does not wait long


class PhaseState(Protocol):
    """What a phase needs to go on."""

    def to_state(self) -> StateDict:
        """Plain values, `phase` among them."""


@dataclass(frozen=True)
class SearchRun:
    """The context of one attempt. Nothing in it is replaced while it runs; what changes is the reporter's."""

    config: SearchConfig
    dataset: DatasetSpec
    dataset_report: DatasetReport | None  # of the dataset check, if there was one
    table: GateTable
    data: PreparedData
    fit: ImageSet  # training images that fit weights during the search
    val: ImageSet  # training images that only judge
    loader: BatchSource
    host: HostOptions
    threads: int  # CPU threads that the search may use
    work_dir: Path
    stop: StopToken
    states: RunStates
    parts: BatchParts  # of every training batch
    reporter: Reporter
    clean_process: PreparedProcess  # for verify.py
    export_process: ForkedProcess = field(default_factory=ForkedProcess)  # for the formats of the bundle
    pretrained: Pretrained | None = None  # what it starts from, if it does not start at random
    parent: KeptSupernet | None = None  # what the search that it goes on from left to it
    adapted: Adapted | None = None  # once the pretrained network has learned the dataset
    freed_epochs: int = 0  # once a final was not held: they are added to the training of the chosen network

    def resume(self, saved: Sequence[SavedState]) -> StateDict | None:
        """The newest good run state, or None at the beginning of a search.

        Raises:
            CheckpointError: it is of another search, or none of those that were saved can be read.
        """
        state = load_newest(saved, self._report_corrupt)
        self.ranks.require_same("run states", 0 if state is None else 1 + round(state["work_done"]))
        if state is None:
            return None
        header, here = RunHeader.from_state(state), environment(self.device, self.threads, self.config, self.parts)
        header.check_same_search(self.config, self.dataset)
        self.reporter.resume(header.seconds_by_phase, header.history, header.work_done)
        self.parts.micro_batches.raise_to(header.micro_batches)
        same_place = header.environment == here and repeats_exactly(self.device)
        if not (header.exact and same_place and self.parts.micro_batches.parts == 1):
            self.reporter.lose_exactness()
            self.reporter.event(EventKind.INEXACT_RESUME, {"before": header.environment, "now": here})
        self.reporter.resumed(state["phase"])
        return state

    @contextmanager
    def phase(self, phase: Phase, best: Best | None = None, *, learning: bool = True) -> Iterator[None]:
        """Enter a phase for a `with` block.

        Args:
            best: what a search that is stopped in it keeps; else as before.
            learning: networks are trained in it, on batches that may be made by threads of their own.
        """
        config = self.config
        sizes = {"adapting": config.teacher.batch_size, "searching": config.supernet.batch_size}
        threads = threads_for(sizes.get(phase, config.train.batch_size) * config.flops_budget, self.threads)
        if learning:
            threads, _ = shared_threads(threads, self.teacher_macs, 3 * config.flops_budget)
        with computing_with(threads), float32_as(config.precision), self.reporter.phase(phase, best):
            yield

    @property
    def device(self) -> torch.device:
        """Where networks are trained."""
        return torch.device(self.host.device)

    @property
    def ranks(self) -> Ranks:
        """The processes that compute this search together."""
        return self.host.ranks

    def on_one_rank(self) -> SearchRun:
        """The same run for what is left to rank 0, once the others have nothing more to do."""
        return replace(self, host=replace(self.host, ranks=ALONE))

    @property
    def teacher_macs(self) -> int:
        """MACs of the network whose answers training images are labelled with; 0 if there is none."""
        taught = self.adapted is not None and self.config.teacher.weight > 0
        return self.pretrained.teacher_macs if self.pretrained is not None and taught else 0

    @property
    def plan(self) -> WorkPlan:
        """What the whole search computes, at the resolution of this run."""
        teaching = NO_TEACHING if self.pretrained is None else self.pretrained.teaching
        largest_macs, images = self.table.space.macs_range()[1], (len(self.fit), len(self.data.train))
        return WorkPlan(self.config, largest_macs, *images, teaching, self.freed_epochs)

    @property
    def start(self) -> PretrainedStart | None:
        """The pretrained weights that the result comes from, once they are adapted; None: there are none."""
        if self.pretrained is None or self.adapted is None:
            return None
        return self.pretrained.start(self.adapted, inherited=self.config.train.weights == "inherit")

    def at(self, adapted: Adapted) -> SearchRun:
        """The same run at the resolution of `adapted`, where networks learn from its teacher."""
        assert self.pretrained is not None
        data = self.pretrained.data_at(adapted.resolution, on_progress=lambda share: self.reporter.progress())
        fit, val = split_validation(data.train, self.config.val_fraction, self.config.seed)
        space = self.pretrained.space_at(adapted.resolution, adapted.head_channels)
        ahead = ahead_threads(self.config, self.threads, self.pretrained.teacher_macs)
        return replace(
            self,
            table=GateTable(space, self.config.constraints),
            data=data,
            fit=fit,
            val=val,
            loader=self.pretrained.loader(data, adapted.teacher, self.config.teacher.weight, ahead),
            adapted=adapted,
        )

    def training_for(self, freed_epochs: int) -> SearchRun:
        """The same run once it is known whether there was a final; the ETA follows."""
        run = replace(self, freed_epochs=freed_epochs)
        run.reporter.pace.work = run.plan.by_phase if freed_epochs else run.reporter.pace.work
        return run

    def save(self, state: PhaseState) -> None:
        """Write a run state and report it; only rank 0 does."""
        if not self.ranks.leads:
            return
        header = RunHeader(
            config=self.config.to_json(),
            dataset=self.dataset.fingerprint,
            seconds_by_phase=self.reporter.seconds_by_phase,
            history=self.reporter.history,
            work_done=self.reporter.pace.done,
            exact=self.reporter.exact,
            micro_batches=self.parts.micro_batches.parts,
            environment=environment(self.device, self.threads, self.config, self.parts),
        )
        adapted = {} if self.adapted is None else {"adapted": self.adapted.to_state()}
        self.reporter.saved(self.states.save(state.to_state() | header.to_state() | adapted))
        self.states.forget_old()  # only now: until the sink has accepted the new one, they may be needed

    def keep_supernet(self, weights: Mapping[str, Tensor], probabilities: Sequence[float]) -> None:
        """Hand over the trained supernet and the teacher, unless that is not wanted: later searches go on from them.

        Args:
            probabilities: how likely each gate is open, (gates,).
        """
        if self.config.keep_supernet is False or not self.ranks.leads:
            return
        kept = KeptSupernet.of(weights, probabilities, self.table, self.adapted)
        limit_bytes, wanted = self.host.supernet_limit_bytes, self.config.keep_supernet or self.config.other_budgets
        if not wanted and kept.size_bytes > limit_bytes:
            detail = {"size_bytes": kept.size_bytes, "limit_bytes": limit_bytes}
            self.reporter.event(EventKind.SUPERNET_NOT_KEPT, detail)
            return
        path = self.work_dir / SUPERNET_NAME
        kept.save(path)
        self.reporter.supernet_kept(path)

    def stop_if_asked(self, state_now: Callable[[], PhaseState] | None = None) -> None:
        """Save what `state_now()` returns and raise Interrupted, if the stop token says so.

        Without `state_now`, the newest run state is good enough. A user who cancels or pauses gets the best so far,
        which a worker that only stops has no time to make. What is asked of one rank, all do; the rest is up to rank 0.
        """
        request = agreed_stop(self.stop, self.ranks)
        if request is None:
            return
        if not self.ranks.leads:
            raise Interrupted(request)
        if state_now is not None:
            self.save(state_now())
        if request != "drain":
            try:
                self._keep_best()
            except (MemoryError, RuntimeError, OSError) as error:  # to stop is what was asked for, and must not fail
                self.reporter.event(EventKind.BEST_NOT_KEPT, {"problem": str(error)})
        raise Interrupted(request)

    @contextmanager
    def ending_its_processes(self) -> Iterator[None]:
        """Ends the processes of the export, if they run, with the `with` block."""
        try:
            yield
        finally:
            self.clean_process.end()
            self.export_process.end()

    def prepare_export(self, preparation: str) -> None:
        """Start the processes of the export, if a CPU is idle and it is nearly time; `preparation`: of the formats."""
        idle_cpu = torch.get_num_threads() < self.threads and self.ranks.leads
        if idle_cpu and self.clean_process.pid is None and self.reporter.pace.nearly_done(_AHEAD_S):
            self.clean_process.start(self.export_process)
            self.export_process.tell([preparation])

    def after_step(self, state_now: Callable[[], PhaseState]) -> None:
        """What follows every training step: stop if asked, save if a run state is due."""
        self.stop_if_asked(state_now)
        if self.ranks.leads and self.states.due_after_step():
            self.save(state_now())

    def still_wanted(self) -> None:
        """Report that the search is alive, and stop if it is asked to: for work without steps."""
        self.reporter.progress()
        self.stop_if_asked()

    def watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """`batches`, with `still_wanted` before each."""
        for batch in batches:
            self.still_wanted()
            yield batch

    def quick_top1_pct(self, network: Network) -> float:
        """Top-1 on some validation images, of a network that is ready for use."""
        return evaluate(network.eval(), first_images(self.loader.plain(self.val), QUICK_IMAGES)).top1_pct

    def recalibrated_top1_pct(self, network: Network) -> float:
        """The same, after recalibrating its batch norms on some training images."""
        recalibrate_batch_norm(network, self.loader.plain(self.fit), max_images=QUICK_IMAGES)
        return self.quick_top1_pct(network)

    def record_of(self, arch: ArchSpec, **measured: Any) -> ArchitectureRecord:
        """An architecture with its MACs, parameters and whatever was measured."""
        return ArchitectureRecord(
            arch_id=arch.arch_id,
            arch=arch.to_json(),
            arch_string=arch_string.encode(arch),
            macs=count_macs(arch).total,
            params=count_params(arch),
            **{"val_images": len(self.val) if measured.get("val_top1_pct") is not None else None, **measured},
        )

    def _keep_best(self) -> None:
        """Hand over the best network so far, scored on validation images if it never learned from them."""
        if self.reporter.best is None or (best := self.reporter.best()) is None:
            return
        val_top1_pct, images = best.val_top1_pct, len(self.val)
        if val_top1_pct is None:
            val_top1_pct, images = self.recalibrated_top1_pct(best.network), min(images, QUICK_IMAGES)
        record = self.record_of(best.network.arch, val_top1_pct=val_top1_pct, val_images=images)
        checkpoint = self.work_dir / BEST_NAME
        save_checkpoint(checkpoint, best.network, self.dataset, self.data)
        self.reporter.best_kept(record, checkpoint)

    def _report_corrupt(self, state: SavedState, problem: str) -> None:
        self.reporter.event(EventKind.CHECKPOINT_CORRUPT, {"step": state.step, "problem": problem})
