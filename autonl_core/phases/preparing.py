"""The phase `preparing`: check what can be checked beforehand, decode the images, split them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from autonl_core.bundle.clean_process import clean_process
from autonl_core.data.augment import LARGE_MIN_SCALE, LARGE_PX, Augmentation
from autonl_core.data.batches import BatchSource, Loader
from autonl_core.data.pictures import Pictures, prepare_pictures
from autonl_core.data.prepare import OnProgress, PreparedData, prepare, split_validation
from autonl_core.data.views import ViewLoader
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted, ParentError, WeightSetError
from autonl_core.run.environment import repeats_exactly
from autonl_core.run.eta import NOT_PREPARED
from autonl_core.run.host_options import HostOptions
from autonl_core.run.kept_supernet import KeptSupernet
from autonl_core.run.pace import NO_TEACHING, Pace, Teaching, WorkPlan
from autonl_core.run.pretrained import OffTheShelf, Pretrained
from autonl_core.run.reporter import Reporter
from autonl_core.run.run_state import RunStates
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import OFF_THE_SHELF, SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.export_extras import require_extras
from autonl_core.spec.feasibility import check_baseline, resolve_space
from autonl_core.spec.head_width import head_width
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import Progress, ProgressSink, SavedState, StopToken
from autonl_core.spec.resolutions import resolutions_to_try, teacher_resolution, whole_within
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import SPACES
from autonl_core.spec.weight_set import InitialWeights
from autonl_core.supernet.gates import GateTable
from autonl_core.training.micro_batches import MicroBatches
from autonl_core.training.parts import BatchParts, parts_of

VIEW_MIN_SCALE = 0.35  # of a picture's area that a crop has at least: measured, docs/transfer.md
PICTURE_SIZE = 1.5  # longer side of the stored pictures, in sides of the largest view


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
    init: InitialWeights | None = None,
) -> SearchRun:
    """The context that all later phases work in. Raises as `search.run_search` does."""
    started = time.monotonic()
    space = _resolve(config, dataset)
    images = _open_images(config, dataset, space, init, Decoding(dataset, cache_dir, host, sink, stop))
    fit, val = split_validation(images.data.train, config.val_fraction, config.seed)
    work = WorkPlan(config, space.macs_range()[1], len(fit), len(fit) + len(val), images.teaching)
    reporter = Reporter(sink, Pace(work.by_phase), exact=_is_exact(host), preparing_s=time.monotonic() - started)
    return SearchRun(
        config=config,
        dataset=dataset,
        dataset_report=dataset_report,
        table=GateTable(space, config.constraints),
        data=images.data,
        fit=fit,
        val=val,
        loader=images.loader,
        host=host,
        threads=torch.get_num_threads(),
        work_dir=work_dir,
        stop=stop,
        states=RunStates(work_dir, resume_from, host.save_steps, host.disk_reserve_bytes),
        parts=_parts(config, host, reporter),
        reporter=reporter,
        clean_process=clean_process(),
        pretrained=images.pretrained,
        parent=_open_parent(config, host),
    )


def _parts(config: SearchConfig, host: HostOptions, reporter: Reporter) -> BatchParts:
    """How batches are divided: as the search says, and further where memory is short."""
    return parts_of(config, host.ranks, MicroBatches(host.micro_batches, reporter.memory_ran_out, host.ranks))


def _is_exact(host: HostOptions) -> bool:
    return host.micro_batches <= 1 and repeats_exactly(torch.device(host.device))


def _open_parent(config: SearchConfig, host: HostOptions) -> KeptSupernet | None:
    """What the search that this one goes on from left to it."""
    if config.parent is None:
        return None
    if host.parent_supernet is None:
        raise ParentError(f"the search goes on from search {config.parent!r}, whose supernet is not here")
    return KeptSupernet.load(host.parent_supernet)


def _resolve(config: SearchConfig, dataset: DatasetSpec) -> SearchSpace:
    """The space. Raises now rather than after hours if a format cannot be made or a baseline not be compared with."""
    require_extras(config.export.formats)
    space = resolve_space(config, dataset)
    for index, name in enumerate(config.baselines):
        try:
            check_baseline(name, config, space)
        except WeightSetError as error:
            raise WeightSetError(f"/baselines/{index}: {error}") from error
    return space


@dataclass(frozen=True)
class _Images:
    """What the first phase looks at: the chosen space's images, or those of the pretrained network."""

    data: PreparedData
    loader: BatchSource
    pretrained: Pretrained | None = None

    @property
    def teaching(self) -> Teaching:
        """What a teacher adds to the work of the search."""
        return NO_TEACHING if self.pretrained is None else self.pretrained.teaching


def _open_images(
    config: SearchConfig, dataset: DatasetSpec, space: SearchSpace, init: InitialWeights | None, decoding: Decoding
) -> _Images:
    with decoding.host.ranks.leader_first():  # the others find them in the cache
        if init is None:
            return _images_alone(config, dataset, space, decoding)
        pretrained = _open_pretrained(config, dataset, init, decoding)
        data = pretrained.data_at(pretrained.teacher_px)
        return _Images(data, pretrained.loader(data, None, 0), pretrained)


def _images_alone(config: SearchConfig, dataset: DatasetSpec, space: SearchSpace, decoding: Decoding) -> _Images:
    """Images for networks that start at random weights."""
    data, device = decoding.squares(space.resolution), torch.device(decoding.host.device)
    decoding.report(data)
    augmentation = augmentation_of(config, dataset, space.resolution)
    if not config.augment.whole_pictures:
        return _Images(data, Loader(data, device, config.seed, augmentation))
    pictures = decoding.pictures(round(PICTURE_SIZE * space.resolution))
    return _Images(data, ViewLoader(data, device, config.seed, augmentation, pictures, space.resolution))


def _open_pretrained(
    config: SearchConfig, dataset: DatasetSpec, init: InitialWeights, decoding: Decoding
) -> Pretrained:
    """The images at every resolution are decoded now: a stop is noticed, and later phases find them in the cache."""
    family = SPACES.get(config.search_space or "")
    teacher_px = teacher_resolution(config, dataset, family)
    resolutions = resolutions_to_try(config, dataset, family)
    for resolution in resolutions:
        decoding.squares(resolution)
    decoding.report(decoding.squares(teacher_px))
    pretrained = Pretrained(
        init=init,
        teacher_px=teacher_px,
        resolutions=resolutions,
        space_at=lambda resolution, head: family.bind(resolution, len(dataset.classes), head),
        head_at=lambda resolution: head_width(
            family,
            config.flops_budget,
            resolution,
            len(dataset.classes),
            trained_images=config.train.epochs * dataset.train_images,
            constraints=config.constraints,
        ),
        squares=decoding.squares,
        pictures=decoding.pictures(round(PICTURE_SIZE * max(teacher_px, *resolutions))),
        augmentation=augmentation_of(config, dataset, teacher_px, by_default=VIEW_MIN_SCALE),
        seed=config.seed,
        device=torch.device(decoding.host.device),
        teacher_is_ready=config.parent is not None,
    )
    if OFF_THE_SHELF not in config.baselines:
        return pretrained
    arch = whole_within(init.weights.arch, config.flops_budget, family, len(dataset.classes))
    is_within = count_macs(arch).total <= config.flops_budget
    return replace(
        pretrained, off_the_shelf=OffTheShelf(arch, _whole_loader(pretrained, arch, decoding) if is_within else None)
    )


def _whole_loader(pretrained: Pretrained, arch: ArchSpec, decoding: Decoding) -> ViewLoader:
    """Batches for the whole network; from larger pictures than those of the search if it sees more pixels."""
    largest = max(pretrained.teacher_px, *pretrained.resolutions)
    if arch.resolution > largest:
        pretrained = replace(pretrained, pictures=decoding.pictures(round(PICTURE_SIZE * arch.resolution)))
    return pretrained.loader(pretrained.data_at(arch.resolution), None, 0)


@dataclass(frozen=True)
class Decoding:
    """The images of a dataset, decoded where no earlier search did."""

    dataset: DatasetSpec
    cache_dir: Path
    host: HostOptions
    sink: ProgressSink
    stop: StopToken

    def squares(self, resolution: int, on_progress: OnProgress | None = None) -> PreparedData:
        """The centre squares of all images at `resolution`. `on_progress`: by default, as of the phase `preparing`."""
        host, on_progress = self.host, on_progress or self._on_progress
        on_progress(0.0)
        return prepare(self.dataset, resolution, self.cache_dir, on_progress, host.limits, host.cache_limit_bytes)

    def report(self, data: PreparedData) -> None:
        """Report what could not be read or cached."""
        report = data.report
        if data.sharded:
            counts = {"images": report.images, "cache_bytes": self.host.cache_limit_bytes}
            self.sink.event(EventKind.IMAGES_DECODED_IN_EVERY_EPOCH, counts)
        if report.unreadable:
            problems = [asdict(image) for image in report.problems]
            self.sink.event(EventKind.UNREADABLE_IMAGES, {"count": report.unreadable, "problems": problems})

    def pictures(self, side: int) -> Pictures:
        """The whole pictures, the longer side at most `side` pixels."""
        host = self.host
        return prepare_pictures(
            self.dataset, side, self.cache_dir, self._on_progress, host.limits, host.cache_limit_bytes
        )

    def _on_progress(self, share: float) -> None:
        self.sink.progress(Progress("preparing", 0.0, eta_unknown=NOT_PREPARED))
        if (request := self.stop.stop_requested()) is not None:
            raise Interrupted(request)  # there is nothing to save, and nothing to keep


def augmentation_of(
    config: SearchConfig, dataset: DatasetSpec, resolution: int, *, by_default: float | None = None
) -> Augmentation:
    """The augmentation that the configuration asks for, with what the dataset and the resolution suggest elsewhere.

    Args:
        by_default: share of the area that a random crop has at least; None: by the resolution.
    """
    asked = config.augment
    if by_default is None:
        by_default = LARGE_MIN_SCALE if resolution > LARGE_PX else 1.0
    return Augmentation(
        flip=dataset.horizontal_flip if asked.horizontal_flip is None else asked.horizontal_flip,
        padding_px=round(asked.crop_padding * resolution),
        erase=asked.erase,
        crop_min_scale=by_default if asked.resized_crop_min_scale is None else asked.resized_crop_min_scale,
        color_jitter=asked.color_jitter,
        policy=asked.policy or "none",  # open only in a search that an earlier version stored
        mixup=asked.mixup,
        cutmix=asked.cutmix,
    )
