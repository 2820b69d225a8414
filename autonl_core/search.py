"""A search from data set to verified checkpoint, on one screen.

    preparing    decode and split the data                                    run.open_run
    searching    supernet weights and architecture parameters learn           supernet_training.train_supernet
    deriving     candidates are measured, one architecture is chosen          derive.derive
    training     the chosen network learns from all training images           final_training.train_chosen
                 baselines at the same MACs do, if asked for                  baselines.train_baselines
    evaluating   top-1 on the test split, once                                finish
    exporting    write in all formats, score each in a clean process          bundle.build.make_bundle
                 tell what came of it, and pack all                           reporting.write_report

Each phase takes a state and returns the state the next one starts from; a state saved to disk at any point is where a
later attempt goes on.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autonl_core.bundle.build import make_bundle, pack_bundle
from autonl_core.bundle.checkpoint_check import verify_checkpoint
from autonl_core.data.prepare import ImageSet
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Diverged
from autonl_core.files import sha256_of
from autonl_core.nn.checkpoint import save_checkpoint, weights_sha256
from autonl_core.nn.network import Network
from autonl_core.phases.baselines import train_baselines
from autonl_core.phases.deriving import derive
from autonl_core.phases.reporting import Outcome, write_report
from autonl_core.phases.searching import train_supernet
from autonl_core.phases.training import train_chosen
from autonl_core.run.run_state import State
from autonl_core.run.search_run import BestSoFar, SearchRun, open_run
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import ProgressSink, SavedState, StopToken
from autonl_core.spec.result import BaselineResult, ResultFile, SearchResult, StopReason
from autonl_core.supernet.budget import BAND
from autonl_core.training.evaluate import Examiner, Score, evaluate

CHECKPOINT_NAME = "model.safetensors"
SAVE_STEPS = 200


def run_search(
    config: SearchConfig,
    dataset: DatasetSpec,
    work_dir: Path,
    *,
    sink: ProgressSink,
    stop: StopToken,
    resume_from: Sequence[SavedState] = (),
    cache_dir: Path | None = None,
    device: str = "cpu",
    save_steps: int = SAVE_STEPS,
    micro_batches: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    cache_limit_bytes: int = 0,
    dataset_report: Mapping[str, Any] | None = None,
) -> SearchResult:
    """Search, train, verify. Deterministic: equal arguments give equal weights on one kind of machine and thread count.

    Args:
        work_dir: receives run states and the checkpoint; one folder per attempt.
        resume_from: run states of earlier attempts at this search; the newest good one is continued.
        cache_dir: decoded images, shared between searches; a folder that goes away by itself if None.
        save_steps: training steps between two run states inside an epoch; its end always is one.
        micro_batches: parts that a batch is computed in from the start; doubles when memory runs out.
        limits: of the data set, as it was checked with.
        cache_limit_bytes: of all data sets in `cache_dir`; 0: as the disk allows. Images that do not fit are decoded
            whenever they are used, with the same result.
        dataset_report: what a check of the data set found; its warnings are told again in the report of the search.

    Raises:
        Interrupted: `stop` asked for it; a run state was saved first.
        AutonlError: anything else a user can act on (data set, space, budget, divergence, failed verification).
    """
    with tempfile.TemporaryDirectory(prefix="autonl-cache-") as scratch:
        run = open_run(
            config,
            dataset,
            work_dir,
            sink=sink,
            stop=stop,
            resume_from=resume_from,
            cache_dir=cache_dir or Path(scratch),
            device=device,
            save_steps=save_steps,
            micro_batches=micro_batches,
            limits=limits,
            cache_limit_bytes=cache_limit_bytes,
        )
        run.dataset_report = dataset_report or {}
        state = run.resume(resume_from)
        if state["phase"] == "searching":
            state = train_supernet(run, state)
        if state["phase"] == "deriving":
            state = derive(run, state)
        trainer = train_chosen(run, state)
        baselines = train_baselines(run, {**state, "trainer": trainer.state_dict()})
        return finish(run, state, trainer.averaged(), baselines)


def finish(run: SearchRun, state: State, network: Network, baselines: tuple[BaselineResult, ...]) -> SearchResult:
    """Score on the test split, write bundle and report, and let a process without our code confirm both."""
    run.enter("evaluating")
    examiner = Examiner()
    score = evaluate(network, run.watched("evaluating", run.loader.plain(run.data.test)), examiner)
    if not math.isfinite(score.loss):
        raise Diverged(f"the trained network computes {score.loss}; lower train.lr ({run.config.train.lr})")
    run.best_so_far = lambda: BestSoFar(network, state["val_top1_pct"])  # nothing left to compare: a stop is quick
    run.leave("evaluating")
    run.enter("exporting")
    checkpoint = run.work_dir / CHECKPOINT_NAME
    save_checkpoint(checkpoint, network, run.dataset, run.data)
    verify_checkpoint(checkpoint, network, run.config.flops_budget)
    bundle = make_bundle(run, checkpoint, network, score)
    outcome = Outcome(network, bundle, examiner.predictions(), baselines, *_judge(run, network, bundle.score))
    reports = write_report(run, state, outcome)
    files = pack_bundle(run, bundle, network) | reports
    run.leave("exporting")
    return _result(run, state, outcome, checkpoint, files)


def _result(
    run: SearchRun, state: State, outcome: Outcome, checkpoint: Path, files: Mapping[str, ResultFile]
) -> SearchResult:
    """All that was found, in the form in which it is handed over."""
    network, bundle, score = outcome.network, outcome.bundle, outcome.bundle.score
    record = run.record_of(
        network.arch,
        val_top1_pct=state["val_top1_pct"],
        test_top1_pct=score.top1_pct,
        test_top5_pct=score.top5_pct,
        trained=True,
    )
    run.sink.architecture(record)
    budget, sha256 = run.config.flops_budget, sha256_of(checkpoint)
    return SearchResult(
        architecture=record,
        flops_budget=budget,
        slack_pct=100 * (budget - record.macs) / budget,
        test_correct=score.correct,
        test_images=score.images,
        checkpoint=checkpoint,
        checkpoint_sha256=sha256,
        weights_sha256=weights_sha256(network.state_dict()),
        seconds_by_phase={phase: round(seconds, 2) for phase, seconds in run.seconds_by_phase.items()},
        comparison={**state["comparison"], "chosen": state["origin"]},
        stop_reason=outcome.stop_reason,
        exact=run.exact,
        notes=outcome.notes,
        files=files,
        parity=bundle.parity,
        certificate=bundle.certificate,
        latency_ms=bundle.latency_ms,
        machine=bundle.machine,
        baselines=outcome.baselines,
    )


def _better_than_guessing(score: Score, test: ImageSet) -> bool:
    """Whether top-1 is more than two standard deviations above always naming the most frequent class."""
    labels = test.labels[test.indices]
    share = np.bincount(labels).max() / len(labels)
    return bool(score.correct > len(labels) * share + 2 * math.sqrt(len(labels) * share * (1 - share)))


def _judge(run: SearchRun, network: Network, score: Score) -> tuple[StopReason, tuple[str, ...]]:
    """How the search ended, and what a user should know of it."""
    notes = []
    if count_macs(network.arch).total < BAND * run.config.flops_budget:
        space = run.table.space.name
        notes.append(f"{space} has no network between {BAND:.0%} and 100% of this budget; this is the best below")
    if _better_than_guessing(score, run.data.test):
        return "converged", tuple(notes)
    notes.append("top-1 is not above always naming the most frequent class: do the labels belong to the images?")
    return "collapsed", tuple(notes)
