"""From a finished run to its report: gathers the facts, which `autonl_core/report` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autonl_core.bundle.build import Bundle
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.errors import is_out_of_memory
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network
from autonl_core.nn.profile import time_layers
from autonl_core.phases.states import TrainingState
from autonl_core.report import render
from autonl_core.report.facts import (
    ArchitectureFacts,
    Counts,
    DatasetFacts,
    Facts,
    Image,
    LayerFacts,
    Mistake,
    RunFacts,
    TestFacts,
)
from autonl_core.run.environment import environment
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.arch_string import encode
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.macs import (
    COUNTING_RULE,
    block_macs,
    block_params,
    block_sizes,
    count_macs,
    count_params,
    head_macs,
    light_nl_macs,
    out_size,
    stem_macs,
)
from autonl_core.spec.result import BaselineResult, ResultFile, StopReason
from autonl_core.training.evaluate import Predictions

SHOWN_CLASSES = 30
SHOWN_FILES = 3  # of a warning
SHOWN_IMAGES = 5  # of a class
_SEARCHED_IMAGES = 20_000  # for samples: a class so rare that it is not among them has none


@dataclass(frozen=True)
class Outcome:
    """What the last phases found about the network that is handed over."""

    network: Network
    bundle: Bundle
    predictions: Predictions
    baselines: tuple[BaselineResult, ...]
    stop_reason: StopReason
    notes: tuple[str, ...]


def write_report(run: SearchRun, state: TrainingState, outcome: Outcome) -> dict[str, ResultFile]:
    """Write report.html, into the folder of the bundle, and report.md; returns both by kind.

    Some training images are read again, for samples, and the network runs some fifty times, for the time of its layers.
    A report that cannot be drawn is told as an event, and the result stands without it.

    Raises:
        Interrupted: the search was asked to stop.
    """
    facts = gather(run, state, outcome)
    try:
        report = render(facts)
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, OSError):
            raise  # says nothing about the report
        run.reporter.event(EventKind.REPORT_FAILED, {"problem": f"{type(error).__name__}: {str(error)[:300]}"})
        return {}
    paths = {"report-html": outcome.bundle.folder / "report.html", "report-md": run.work_dir / "report.md"}
    paths["report-html"].write_text(report.html, encoding="utf-8")
    paths["report-md"].write_text(report.markdown, encoding="utf-8")
    return {kind: ResultFile(path, sha256_of(path), path.stat().st_size) for kind, path in paths.items()}


def gather(run: SearchRun, state: TrainingState, outcome: Outcome) -> Facts:
    """Everything that a report tells of `run`, whose phase `training` ended with `state`."""
    arch = outcome.network.arch
    times = time_layers(outcome.network, arch.resolution, run.stop_if_asked)
    return Facts(
        dataset=_dataset(run),
        architecture=ArchitectureFacts(
            arch_id=arch.arch_id,
            arch_string=encode(arch),
            macs=count_macs(arch).total,
            params=count_params(arch),
            layers=layer_facts(arch, times),
            space=run.table.space.name,
            chosen_as=state.origin,
            comparison=state.comparison.to_json(),
        ),
        test=_test(run, state, outcome),
        budget_macs=run.config.flops_budget,
        counting_rule=COUNTING_RULE,
        history=run.reporter.history,
        run=RunFacts(
            config=run.config.to_json(),
            seconds_by_phase=run.reporter.seconds_by_phase,
            stop_reason=outcome.stop_reason,
            exact=run.reporter.exact,
            notes=outcome.notes,
            environment=environment(run.device),
            machine=outcome.bundle.machine,
        ),
        certificate=outcome.bundle.certificate,
        baselines=outcome.baselines,
        parity=outcome.bundle.parity,
        latency_ms=outcome.bundle.latency_ms,
    )


def layer_facts(arch: ArchSpec, times_ms: Mapping[str, float]) -> tuple[LayerFacts, ...]:
    """Stem, blocks, head (with its pooling) and classifier; their MACs add up to those of the network."""
    sizes = block_sizes(arch)
    stem = LayerFacts(
        name="stem",
        summary=f"conv 3×3, stride {arch.stem_stride}",
        out_channels=arch.stem_channels,
        out_size=out_size(arch.resolution, arch.stem_stride),
        macs=stem_macs(arch.stem_channels, arch.stem_stride, arch.resolution).total,
        params=29 * arch.stem_channels,
        time_ms=times_ms["stem"],
    )
    blocks = [_block(index, block, sizes[index], times_ms) for index, block in enumerate(arch.blocks)]
    width, size = arch.blocks[-1].out_channels, sizes[-1]
    of_end = head_macs(width, arch.head_channels, arch.num_classes, size, arch.hidden_channels)
    head = LayerFacts(
        name="head",
        summary="conv 1×1, mean over positions",
        out_channels=arch.head_channels,
        out_size=size,
        macs=of_end.total - of_end.linear,
        params=arch.head_channels * (width + 2),
        time_ms=times_ms["head"],
    )
    classifier = LayerFacts(
        name="classifier",
        summary=f"linear, {arch.feature_channels} to {arch.num_classes}",
        out_channels=arch.num_classes,
        out_size=1,
        macs=of_end.linear,
        params=count_params(arch) - stem.params - sum(block.params for block in blocks) - head.params,
        time_ms=times_ms["classifier"],
    )
    return (stem, *blocks, head, classifier)


def _block(index: int, block: BlockSpec, in_size: int, times_ms: Mapping[str, float]) -> LayerFacts:
    size, name = out_size(in_size, block.stride), f"blocks.{index}"
    parts = [f"MBConv {block.kernel_size}×{block.kernel_size}", f"expand {block.expand_ratio:g}"]
    if block.stride > 1:
        parts.append(f"stride {block.stride}")
    if block.se_channels:
        parts.append(f"SE {block.se_ratio:g}")
    if block.residual:
        parts.append("skip")
    spec = block.light_nl
    return LayerFacts(
        name=f"block {index}",
        summary=", ".join(parts),
        out_channels=block.out_channels,
        out_size=size,
        macs=block_macs(block, in_size).total,
        params=block_params(block),
        time_ms=times_ms[name],
        light_nl=f"ratio {spec.nl_ratio:g}, stride {spec.nl_stride}" if spec else "",
        light_nl_macs=light_nl_macs(block.out_channels, size, spec).total if spec else 0,
        light_nl_ms=times_ms.get(f"{name}.light_nl", 0.0),
    )


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
    )


def warnings_of(reading: Mapping[str, Any], checking: Mapping[str, Any]) -> tuple[str, ...]:
    """What reading the images for this search met, then the warnings of a `DatasetReport`, as JSON, of its data set."""
    warnings = []
    if reading["unreadable"]:
        files = [f"{problem['file']} ({problem['problem']})" for problem in reading["problems"]]
        warnings.append(f"{reading['unreadable']:,} images could not be read and are left out: {_first(files)}")
    for problem in checking.get("problems", ()):
        if problem["severity"] != "info":
            shown = f" ({problem['count']:,}: {_first(problem['files'])})" if problem["files"] else ""
            warnings.append(problem["detail"][:1].upper() + problem["detail"][1:] + shown)
    return tuple(warnings)


def _first(files: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(files[:SHOWN_FILES]) + (", ..." if len(files) > SHOWN_FILES else "")


def _counts(images: ImageSet, classes: int) -> Counts:
    return np.bincount(images.labels[images.indices], minlength=classes)


def _samples(run: SearchRun) -> dict[int, tuple[Image, ...]]:
    """The first few training images of each of the first classes, in the order that mixes them."""
    found: dict[int, list[Image]] = {label: [] for label in range(min(SHOWN_CLASSES, len(run.dataset.classes)))}
    seen = 0
    for x, labels in run.watched(run.loader.plain(run.data.train)):
        for place, label in enumerate(labels.tolist()):
            if label in found and len(found[label]) < SHOWN_IMAGES:
                found[label].append(_pixels(x[place], run.data))
        seen += len(labels)
        if seen >= _SEARCHED_IMAGES or all(len(images) == SHOWN_IMAGES for images in found.values()):
            break
    return {label: tuple(images) for label, images in found.items()}


def _test(run: SearchRun, state: TrainingState, outcome: Outcome) -> TestFacts:
    seen, score = outcome.predictions, outcome.bundle.score
    labels, predicted, confidence = seen.labels.numpy(), seen.predicted.numpy(), seen.confidence.numpy()
    mistakes = [
        Mistake(int(labels[place]), int(predicted[place]), float(confidence[place]), _pixels(image, run.data))
        for place, image in zip(seen.worst.tolist(), seen.worst_images, strict=True)
    ]
    return TestFacts(
        correct=score.correct,
        correct_top5=score.correct_top5,
        images=score.images,
        loss=score.loss,
        labels=labels,
        predicted=predicted,
        confidence=confidence,
        mistakes=tuple(mistakes),
        val_top1_pct=state.val_top1_pct,
        val_images=len(run.val),
    )


def _pixels(x: Tensor, data: PreparedData) -> Image:
    """(3, R, R) as a network is fed -> (R, R, 3) as it was decoded."""
    mean, std = (torch.tensor(channels)[:, None, None] for channels in (data.mean, data.std))
    pixels = ((x.cpu().float() * std + mean) * 255).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(1, 2, 0).numpy()
