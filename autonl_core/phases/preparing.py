"""The phase `preparing`: check what can be checked beforehand, decode the images, split them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from autonl_core.bundle.clean_process import clean_process
from autonl_core.data.augment import LARGE_MIN_SCALE, LARGE_PX, Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import PreparedData, prepare, split_validation
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted
from autonl_core.run.forked_process import ForkedProcess
from autonl_core.run.host_options import HostOptions
from autonl_core.run.pace import Pace, planned_work
from autonl_core.run.reporter import Reporter
from autonl_core.run.run_state import RunStates
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.feasibility import resolve_space, scale_baseline
from autonl_core.spec.progress import Progress, ProgressSink, SavedState, StopToken
from autonl_core.spec.search_space import SearchSpace
from autonl_core.supernet.gates import GateTable
from autonl_core.training.micro_batches import MicroBatches


def open_run(
    config: SearchConfig,
    dataset: DatasetSpec,
    work_dir: Path,
    *,
    sink: ProgressSink,
    stop: StopToken,
    resume_from: Sequence[SavedState],
    host: HostOptions,
    cache_dir: Path,
    dataset_report: DatasetReport | None,
) -> SearchRun:
    """The context that all later phases work in. Raises as `search.run_search` does."""
    started = time.monotonic()
    space = _resolve(config, dataset)
    data = _decode(dataset, space.resolution, cache_dir, host, sink, stop)
    fit, val = split_validation(data.train, config.val_fraction, config.seed)
    device = torch.device(host.device)
    pace = Pace(total=planned_work(config, space.macs_range()[1], len(fit), len(data.train)))
    reporter = Reporter(sink, pace, exact=host.micro_batches <= 1, preparing_s=time.monotonic() - started)
    return SearchRun(
        config=config,
        dataset=dataset,
        dataset_report=dataset_report,
        table=GateTable(space),
        data=data,
        fit=fit,
        val=val,
        loader=Loader(data, device, config.seed, augmentation_of(config, dataset, space.resolution)),
        device=device,
        threads=torch.get_num_threads(),
        work_dir=work_dir,
        stop=stop,
        states=RunStates(work_dir, resume_from, host.save_steps),
        micro_batches=MicroBatches(host.micro_batches, on_split=reporter.memory_ran_out),
        reporter=reporter,
        clean_process=clean_process(),
        export_process=ForkedProcess(),
    )


def _resolve(config: SearchConfig, dataset: DatasetSpec) -> SearchSpace:
    """The space of the search. Raises now rather than after hours if a baseline cannot be scaled to the budget."""
    space = resolve_space(config, dataset)
    for name in config.baselines:
        scale_baseline(name, space, config.flops_budget)
    return space


def _decode(
    dataset: DatasetSpec, resolution: int, cache_dir: Path, host: HostOptions, sink: ProgressSink, stop: StopToken
) -> PreparedData:
    """The images at `resolution`; reports progress, and what could not be read or cached."""

    def on_progress(share: float) -> None:
        sink.progress(Progress("preparing", 0.0))
        if (request := stop.stop_requested()) is not None:
            raise Interrupted(request)  # there is nothing to save, and nothing to keep

    sink.progress(Progress("preparing", 0.0))
    data = prepare(dataset, resolution, cache_dir, on_progress, host.limits, host.cache_limit_bytes)
    report = data.report
    if data.sharded:
        counts = {"images": report.images, "cache_bytes": host.cache_limit_bytes}
        sink.event(EventKind.IMAGES_DECODED_IN_EVERY_EPOCH, counts)
    if report.unreadable:
        problems = [asdict(image) for image in report.problems]
        sink.event(EventKind.UNREADABLE_IMAGES, {"count": report.unreadable, "problems": problems})
    return data


def augmentation_of(config: SearchConfig, dataset: DatasetSpec, resolution: int) -> Augmentation:
    """The augmentation that the configuration asks for, with what the dataset and the resolution suggest elsewhere."""
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
