"""The phases `evaluating` and `exporting`: the test split once, then bundle and report, scored in a clean process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from autonl_core.bundle.build import make_bundle, pack_bundle
from autonl_core.bundle.checkpoint_check import verify_checkpoint
from autonl_core.data.prepare import ImageSet
from autonl_core.errors import Diverged
from autonl_core.files import sha256_of
from autonl_core.nn.checkpoint import save_checkpoint, weights_sha256
from autonl_core.nn.network import Network
from autonl_core.phases.calibrating import calibrate
from autonl_core.phases.class_results import class_results
from autonl_core.phases.doubtful_labels import Doubts, write_doubtful_labels
from autonl_core.phases.reporting import Outcome, ReportWriter
from autonl_core.phases.states import TrainingState
from autonl_core.run.after_training import on_cpu
from autonl_core.run.reporter import BestSoFar
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.macs import count_macs
from autonl_core.spec.measured_network import MeasuredNetwork
from autonl_core.spec.not_sure import find_not_sure
from autonl_core.spec.progress import ArchitectureRecord
from autonl_core.spec.result import BaselineResult, ResultFile, SearchResult, StopReason
from autonl_core.spec.right_images import packed
from autonl_core.supernet.budget import BAND
from autonl_core.training.evaluate import Examiner, Score, evaluate, together
from autonl_core.training.precision import in_full_precision
from autonl_core.wording.counts import counted
from autonl_core.wording.evidence import Guessing, beside_guessing

CHECKPOINT_NAME = "model.safetensors"


def finish(
    run: SearchRun, state: TrainingState, network: Network, baselines: tuple[BaselineResult, ...]
) -> SearchResult:
    """Score on the test split, write bundle and report, and let a process without our code confirm both.

    From the phase `exporting` on nothing is computed on a GPU, which another search may get meanwhile.
    """

    run.clean_process.start()
    examiner, doubts = Examiner(), Doubts()
    with run.phase("evaluating", learning=False), in_full_precision():
        calibration = calibrate(run, network)
        score = evaluate(network, run.watched(run.loader.plain(run.data.test)), together(examiner, doubts))
        if not math.isfinite(score.loss):
            raise Diverged(f"the trained network computes {score.loss}; lower train.lr ({run.config.train.lr})")
        doubtful = write_doubtful_labels(run, network, doubts)

    best_so_far = partial(BestSoFar, network, state.val_top1_pct)  # nothing is left to compare, so a stop is quick
    run.reporter.best = best_so_far  # what the phases before would keep goes with the device
    run = on_cpu(run, network)
    with run.phase("exporting", best=best_so_far):
        run.reporter.ended(0.1)
        checkpoint = run.work_dir / CHECKPOINT_NAME
        save_checkpoint(checkpoint, network, run.dataset, run.data)
        verify_checkpoint(checkpoint, network, run.config.flops_budget)
        predictions = examiner.predictions()
        report = ReportWriter(run, state, network, predictions, baselines)
        bundle = make_bundle(run, checkpoint, network, score, meanwhile=lambda: report.draw(score))
        bundle = replace(bundle, origin=state.origin, classes=class_results(run, predictions), calibration=calibration)
        right = (predictions.labels == predictions.predicted).tolist()
        outcome = Outcome(network, bundle, baselines, *_judge(run, network, bundle.score))
        run.reporter.ended(0.9)
        reports = report.write(outcome)
        files = pack_bundle(run, bundle, network) | reports | doubtful
    not_sure = find_not_sure(predictions.confidence.tolist(), right)
    times_ms = {layer.name: round(layer.time_ms, 5) for layer in report.architecture.layers}
    result = _result(run, state, outcome, checkpoint, files)
    result = replace(result, latency_check=bundle.latency_check, calibration=calibration)
    return replace(result, test_right=packed(right), not_sure=not_sure, layer_times_ms=times_ms)


def _result(
    run: SearchRun, state: TrainingState, outcome: Outcome, checkpoint: Path, files: Mapping[str, ResultFile]
) -> SearchResult:
    """All that was found, in the form in which it is handed over."""
    network, bundle, score = outcome.network, outcome.bundle, outcome.bundle.score
    record = run.record_of(
        network.arch,
        val_top1_pct=state.val_top1_pct,
        test_top1_pct=score.top1_pct,
        test_top5_pct=score.top5_pct,
        trained=True,
    )
    run.reporter.architecture(record)
    budget_macs = run.config.flops_budget
    return SearchResult(
        architecture=record,
        flops_budget=budget_macs,
        slack_pct=100 * (budget_macs - record.macs) / budget_macs,
        test_correct=score.correct,
        test_images=score.images,
        checkpoint=checkpoint,
        checkpoint_sha256=sha256_of(checkpoint),
        weights_sha256=weights_sha256(network.state_dict()),
        seconds_by_phase={phase: round(seconds, 2) for phase, seconds in run.reporter.seconds_by_phase.items()},
        comparison={**state.comparison.to_json(), "chosen": state.origin},
        stop_reason=outcome.stop_reason,
        exact=run.reporter.exact,
        notes=outcome.notes,
        files=files,
        parity=bundle.parity,
        certificate=bundle.certificate,
        latency_ms=bundle.latencies.median_ms,
        latency_spread_pct=bundle.latencies.spread_pct,
        machine=bundle.machine,
        baselines=outcome.baselines,
        init=run.start,
        parent=run.config.parent,
        networks=_measured(state, record),
        classes=bundle.classes,
    )


def _measured(state: TrainingState, record: ArchitectureRecord) -> tuple[MeasuredNetwork, ...]:
    """The networks that the search measured; that of `record` is marked as chosen."""
    return tuple(replace(each, chosen=each.arch_string == record.arch_string) for each in state.comparison.networks)


def _beside_guessing(score: Score, test: ImageSet) -> Guessing:
    """How top-1 compares with always naming the most frequent class."""
    labels = test.labels[test.indices]
    return beside_guessing(score.correct, len(labels), float(np.bincount(labels).max() / len(labels)))


def _judge(run: SearchRun, network: Network, score: Score) -> tuple[StopReason, tuple[str, ...]]:
    """How the search ended, and what a user should know about its result."""
    notes = []
    if count_macs(network.arch).total < BAND * run.config.flops_budget:
        within = "within the constraints, " if run.table.limited else ""
        space = f"{within}{run.table.space.name}"
        notes.append(f"{space} has no network between {BAND:.0%} and 100% of this budget; this is the best below")
    found = _beside_guessing(score, run.data.test)
    images = counted(score.images, "test image")
    if found == "unknown":
        notes.append(f"{images} cannot show whether top-1 is above always naming the most frequent class; add some")
    if found != "no better":
        return "converged", tuple(notes)
    notes.append(
        f"as far as {images} show, top-1 is not above always naming the most frequent class: do the labels belong to "
        "the images?"
    )
    return "collapsed", tuple(notes)
