"""The report of a finished search: gathers the facts that `autonl_core/report` renders, and writes the files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from autonl_core.bundle.bundle import Bundle
from autonl_core.data.decoding_report import DecodingReport
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.datasets.check_report import DatasetProblem, DatasetReport
from autonl_core.errors import is_out_of_memory
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network
from autonl_core.nn.profile import time_layers
from autonl_core.phases.layer_facts import layer_facts
from autonl_core.phases.states import TrainingState
from autonl_core.report import PictureFacts, draw_all, render
from autonl_core.report.facts import (
    ArchitectureFacts,
    Counts,
    DatasetFacts,
    Facts,
    Image,
    Mistake,
    RunFacts,
    TestFacts,
)
from autonl_core.run.environment import environment
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch_string import encode
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.macs import COUNTING_RULE, count_macs, count_params
from autonl_core.spec.result import BaselineResult, ResultFile, StopReason
from autonl_core.training.evaluate import Predictions, Score
from autonl_core.wording.counts import agreeing, counted

if TYPE_CHECKING:
    from autonl_core.report.canvas import Picture

SHOWN_CLASSES = 30
SHOWN_FILES = 3  # per warning
SHOWN_IMAGES = 5  # per class
READINGS = (  # codes of findings: where classes and splits come from
    "label_files", "layout_chosen", "synsets_named",
    "validation_joins_training", "validation_is_test", "test_split_drawn", "test_split_by_group",
)  # fmt: skip
_SEARCHED_IMAGES = 20_000  # for samples: a class without an image among these is shown without samples


@dataclass(frozen=True)
class Outcome:
    """What the last phases found about the delivered network."""

    network: Network
    bundle: Bundle
    baselines: tuple[BaselineResult, ...]
    stop_reason: StopReason
    notes: tuple[str, ...]


class ReportWriter:
    """Writes the report of a search, whose pictures can be drawn before the bundle is scored.

    At the start it runs the network about fifty times to time its layers: nothing else should compute then. If drawing
    fails, an event says so and the search succeeds without a report.

    Raises:
        Interrupted: the search was asked to stop.
    """

    def __init__(
        self,
        run: SearchRun,
        state: TrainingState,
        network: Network,
        predictions: Predictions,
        baselines: tuple[BaselineResult, ...],
    ) -> None:
        """`state` is the one that the phase `training` started from."""
        self._run, self._state, self._predictions, self._baselines = run, state, predictions, baselines
        self.architecture = _architecture(run, state, network)
        self._drawn: Mapping[str, Picture] = {}
        self._drawn_for: Score | None = None

    def draw(self, score: Score) -> None:
        """Draw the pictures, unless they are. If the bundle scores otherwise, `write` draws them once more."""
        with contextlib.suppress(_NotDrawn):
            self._draw(score)

    def write(self, outcome: Outcome) -> dict[str, ResultFile]:
        """Write report.html into the folder of the bundle, and report.md beside it; returns both by kind."""
        facts = self.gather(outcome)
        try:
            self._draw(outcome.bundle.score)
            with _drawing():
                report = render(facts, self._drawn)
        except _NotDrawn as failed:
            self._run.reporter.event(EventKind.REPORT_FAILED, {"problem": str(failed)})
            return {}
        paths = {"report-html": outcome.bundle.folder / "report.html", "report-md": self._run.work_dir / "report.md"}
        paths["report-html"].write_text(report.html, encoding="utf-8")
        paths["report-md"].write_text(report.markdown, encoding="utf-8")
        return {kind: ResultFile(path, sha256_of(path), path.stat().st_size) for kind, path in paths.items()}

    def gather(self, outcome: Outcome) -> Facts:
        """Everything the report shows. Reads some training images, as samples."""
        run, bundle = self._run, outcome.bundle
        return Facts(
            **vars(self._picture_facts(bundle.score)),
            dataset=_dataset(run),
            counting_rule=COUNTING_RULE,
            run=_run(run, outcome),
            certificate=bundle.certificate,
            parity=bundle.parity,
            latency_ms=bundle.latencies.median_ms,
            latency_spread_pct=bundle.latencies.spread_pct,
            start=run.start,
            parent=run.config.parent,
            latency_check=bundle.latency_check,
            calibration=bundle.calibration,
        )

    def _picture_facts(self, score: Score) -> PictureFacts:
        run = self._run
        return PictureFacts(
            architecture=self.architecture,
            test=_test(run, self._state, self._predictions, score),
            budget_macs=run.config.flops_budget,
            history=run.reporter.history,
            baselines=self._baselines,
        )

    def _draw(self, score: Score) -> None:
        if score != self._drawn_for:
            with _drawing():
                self._drawn, self._drawn_for = draw_all(self._picture_facts(score)), score


class _NotDrawn(Exception):
    """Drawing failed, for the reason that this says."""


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    """Raises _NotDrawn for every error that is the fault of the report; for others the attempt is retried."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, OSError):
            raise
        raise _NotDrawn(f"{type(error).__name__}: {str(error)[:300]}") from error


def _architecture(run: SearchRun, state: TrainingState, network: Network) -> ArchitectureFacts:
    arch = network.arch
    return ArchitectureFacts(
        arch_id=arch.arch_id,
        arch_string=encode(arch),
        macs=count_macs(arch).total,
        params=count_params(arch),
        layers=layer_facts(arch, time_layers(network, arch.resolution, run.stop_if_asked)),
        space=run.table.space.name,
        chosen_as=state.origin,
        comparison=state.comparison,
    )


def _run(run: SearchRun, outcome: Outcome) -> RunFacts:
    return RunFacts(
        config=run.config.to_json(),
        seconds_by_phase=run.reporter.seconds_by_phase,
        stop_reason=outcome.stop_reason,
        exact=run.reporter.exact,
        notes=outcome.notes,
        environment=environment(run.device, run.threads, run.config, run.parts),
        machine=outcome.bundle.machine,
        used=used_settings(run),
        ended=datetime.now(UTC),
    )


def used_settings(run: SearchRun) -> dict[str, object]:
    """What became of the settings that a configuration may leave open and that have a value all the same."""
    augmentation, start = run.loader.augmentation, run.start
    return {
        "resolution": run.data.resolution,
        "search_space": run.table.space.name,
        "keep_supernet": "only if it is small enough",
        "teacher.resolution": None if start is None else start.teacher_resolution,
        "augment.horizontal_flip": augmentation.flip,
        "augment.resized_crop_min_scale": augmentation.crop_min_scale,
        "augment.policy": augmentation.policy,
        "card.licence": "not stated",
    }


def _dataset(run: SearchRun) -> DatasetFacts:
    spec, data = run.dataset, run.data
    return DatasetFacts(
        name=spec.name,
        kind=spec.kind,
        fingerprint=spec.fingerprint,
        classes=spec.classes,
        image_size=spec.image_size,
        resolution=data.resolution,
        train_counts=_counts(data.train, len(spec.classes)),
        val_counts=_counts(run.val, len(spec.classes)),
        test_counts=_counts(data.test, len(spec.classes)),
        mean=data.mean,
        std=data.std,
        samples=_samples(run),
        warnings=warnings_of(data.report, run.dataset_report),
        reading=readings_of(run.dataset_report),
        pairs=tuple(run.dataset_report.pairs) if run.dataset_report else (),
        grey_range=spec.grey_range,
        is_mirrored=run.loader.augmentation.flip,
    )


def warnings_of(decoding: DecodingReport, checking: DatasetReport | None) -> tuple[str, ...]:
    """Images that this search could not read, then the warnings of the dataset check."""
    warnings = []
    if decoding.unreadable:
        files = [f"{image.file} ({image.problem})" for image in decoding.problems]
        count = decoding.unreadable
        left_out = f"{counted(count, 'image')} could not be read and {agreeing(count, 'was')} left out"
        warnings.append(f"{left_out}: {_first(files)}")
    found = checking.problems if checking else ()
    return (*warnings, *(_sentence(problem) for problem in found if problem.severity != "info"))


def readings_of(checking: DatasetReport | None) -> tuple[str, ...]:
    """What the dataset check says of where the classes come from, if that is not the names of folders alone."""
    found = checking.problems if checking else ()
    return tuple(_sentence(problem) for problem in found if problem.severity == "info" and problem.code in READINGS)


def _sentence(problem: DatasetProblem) -> str:
    shown = f" ({problem.count:,}: {_first(problem.files)})" if problem.files else ""
    end = "" if (problem.detail + shown).endswith((".", ":")) else "."
    return problem.detail[:1].upper() + problem.detail[1:] + shown + end


def _first(files: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(files[:SHOWN_FILES]) + (", ..." if len(files) > SHOWN_FILES else "")


def _counts(images: ImageSet, classes: int) -> Counts:
    return np.bincount(images.labels[images.indices], minlength=classes)


def _samples(run: SearchRun) -> dict[int, tuple[Image, ...]]:
    """The first few training images of each of the first classes, in the shuffled order of the dataset."""
    samples: dict[int, list[Image]] = {label: [] for label in range(min(SHOWN_CLASSES, len(run.dataset.classes)))}
    seen = 0
    for x, labels in run.watched(run.loader.plain(run.data.train)):
        for place, label in enumerate(labels.cpu().tolist()):
            if label in samples and len(samples[label]) < SHOWN_IMAGES:
                samples[label].append(_pixels(x[place], run.data))
        seen += len(labels)
        if seen >= _SEARCHED_IMAGES or all(len(images) == SHOWN_IMAGES for images in samples.values()):
            break
    return {label: tuple(images) for label, images in samples.items()}


def _test(run: SearchRun, state: TrainingState, predictions: Predictions, score: Score) -> TestFacts:
    labels, predicted, confidence = (
        column.numpy() for column in (predictions.labels, predictions.predicted, predictions.confidence)
    )
    mistakes = [
        Mistake(int(labels[place]), int(predicted[place]), float(confidence[place]), _pixels(image, run.data))
        for place, image in zip(predictions.worst.tolist(), predictions.worst_images, strict=True)
    ]
    return TestFacts(
        **vars(score),
        labels=labels,
        predicted=predicted,
        confidence=confidence,
        mistakes=tuple(mistakes),
        val_top1_pct=state.val_top1_pct,
        val_images=len(run.val),
    )


def _pixels(x: Tensor, data: PreparedData) -> Image:
    """Undo the normalisation of a network input: (3, R, R) float -> (R, R, 3) uint8."""
    mean, std = (torch.tensor(channels)[:, None, None] for channels in (data.mean, data.std))
    pixels = ((x.cpu().float() * std + mean) * 255).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(1, 2, 0).numpy()
