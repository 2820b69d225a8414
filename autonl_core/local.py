"""Searches and scores in this process, without a service: what `python -m autonl_core` runs."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import ValidationError

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import prepare
from autonl_core.datasets.buckets.local_copy import bring_here
from autonl_core.datasets.buckets.location import BucketLocation, is_in_bucket
from autonl_core.datasets.scan import find_dataset
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.device_table.of_local_search import STATES_NAME, on_device
from autonl_core.errors import AutonlError, CheckpointError, DatasetError
from autonl_core.files import write_atomically
from autonl_core.host.environment import launched_rank
from autonl_core.host.interpreter import module_command
from autonl_core.host.memory import keep_freed_memory
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.parallel.ranks import device_of, join, require_shareable
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.builtin_weights import initial_weights, installed_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import (
    KEPT_RUN_STATES,
    ArchitectureRecord,
    Phase,
    PlaceInSupernet,
    Progress,
    SavedState,
    Silent,
)
from autonl_core.spec.recipe import settle
from autonl_core.spec.repeats import other_seeds
from autonl_core.spec.several_budgets import for_budget
from autonl_core.training.evaluate import evaluate
from autonl_core.wording.counts import counted


class Printed(Silent):
    """A sink for people: one line per epoch, per new best architecture and per event."""

    def metrics(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        shown = "  ".join(f"{key} {value:.4g}" for key, value in values.items() if not key.startswith("gate/"))
        _say(f"[{phase}] epoch {epoch}  {shown}")

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None:
        _say(f"[{kind}] {json.dumps(detail)}")

    def architecture(self, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None:
        _say(f"[best] {record.macs:,} MACs  {record.arch_string}")

    def supernet_kept(self, path: Path) -> None:
        _say(f"[{EventKind.SUPERNET_KEPT}] {path}")

    def progress(self, progress: Progress) -> None: ...

    def saved(self, state: SavedState) -> None: ...


def run(options: argparse.Namespace) -> int:
    """Run a parsed command line; returns the exit code."""
    keep_freed_memory()
    try:
        if options.command == "search" and options.ranks > 1 and launched_rank() is None:
            return _search_in_ranks(options)
        if options.threads:
            torch.set_num_threads(options.threads)
        return _search(options) if options.command == "search" else _evaluate(options)
    except (OSError, yaml.YAMLError) as error:
        _say(f"error: {error}", sys.stderr)
    except ValidationError as error:
        _say(f"error: {options.config} is not a valid search: {error}", sys.stderr)
    except AutonlError as error:
        _say(f"error: {error}", sys.stderr)
    return 2


def _search(options: argparse.Namespace) -> int:
    """The search of the configuration, then those for its other budgets or with other seeds, in folders named so."""
    from autonl_core.run.search_run import SUPERNET_NAME  # with all that trains: scoring needs none of it

    config, dataset = _read(options)
    options.together = join(options.device)
    if options.together.leads:
        _say_what_differs(config, dataset)
    _run(options, config, dataset, options.out)
    for budget_macs in config.other_budgets:
        other = for_budget(config, "first", budget_macs)
        _run(options, other, dataset, options.out / str(budget_macs), options.out / SUPERNET_NAME)
    for repeat in other_seeds(config, "first"):
        _run(options, repeat, dataset, options.out / f"seed-{repeat.seed}")
    return 0


def _search_in_ranks(options: argparse.Namespace) -> int:
    """The same by several processes, once it is known that they can share it."""
    from autonl_core.parallel.launch import end_as, launch  # which few searches need

    config, _ = _read(options)
    require_shareable(config.batch_parts, options.ranks)
    with tempfile.TemporaryDirectory(prefix="autonl-cache-") as scratch:
        cache = [] if options.cache_dir else ["--cache-dir", scratch]
        return end_as(launch(options.ranks, module_command("autonl_core", *options.command_line, *cache)))


def _read(options: argparse.Namespace) -> tuple[SearchConfig, DatasetSpec]:
    """The search that the configuration describes, and its dataset."""
    config = SearchConfig.model_validate(yaml.safe_load(options.config.read_text()))
    dataset = _dataset(options.dataset_path or config.dataset, options.out)
    config = on_device(config, dataset, options.device_table, options.out)
    return settle(config, dataset, installed_weights()), dataset


def _dataset(name_or_place: str, out: Path) -> DatasetSpec:
    """The dataset; one in a bucket is copied into a folder of `out`, as far as it is not there yet."""
    if not is_in_bucket(name_or_place):
        return find_dataset(name_or_place)
    copy = bring_here(BucketLocation.parse(name_or_place), out / "bucket-copies")
    try:
        return find_dataset(str(copy.path))
    except DatasetError as error:
        raise DatasetError(copy.in_user_words(str(error))) from error


def _say_what_differs(config: SearchConfig, dataset: DatasetSpec) -> None:
    """What a user might expect otherwise."""
    if not dataset.horizontal_flip and config.augment.horizontal_flip is None:
        _say(
            "training images are not mirrored, as that could change their class; augment.horizontal_flip: true does it"
        )
    if config.max_compute_s is not None:
        _say("max_compute_s is for searches of a service; this one runs to its end")


def _run(
    options: argparse.Namespace, config: SearchConfig, dataset: DatasetSpec, out: Path, parent: Path | None = None
) -> None:
    """One search into the folder `out`, from its run states if there are any; of several, a finished one is kept."""
    if (config.flops_budgets or config.repeat > 1) and (out / "result.json").exists():
        return
    earlier = _run_states(out)

    class Remembering(Printed):
        def saved(self, state: SavedState) -> None:
            recent.append(state)
            records = [{**vars(s), "path": s.path.name} for s in recent[-KEPT_RUN_STATES:]]
            write_atomically(out / STATES_NAME, lambda path: path.write_text(json.dumps(records)))
            for old in recent[:-KEPT_RUN_STATES]:
                old.path.unlink(missing_ok=True)

    recent = list(earlier)
    sink = Remembering()
    out.mkdir(parents=True, exist_ok=True)
    from autonl_core.search import help_search, run_search  # with all that draws and exports: scoring needs none of it

    host = HostOptions(
        device=device_of(options.device, options.together),
        cache_dir=options.cache_dir,
        cache_limit_bytes=options.cache_bytes,
        parent_supernet=parent,
        ranks=options.together,
    )
    init = initial_weights(config.init)
    if not host.ranks.leads:
        help_search(config, dataset, out, stop=sink, resume_from=earlier, host=host, init=init)
        return
    result = run_search(config, dataset, out, sink=sink, stop=sink, resume_from=earlier, host=host, init=init)
    (out / "result.json").write_text(json.dumps(result.to_json(), indent=2))
    (out / STATES_NAME).unlink(missing_ok=True)
    _say(f"top-1 {result.architecture.test_top1_pct:.2f}% at {result.architecture.macs:,} MACs: {result.checkpoint}")
    if result.latency_check is not None:
        _say(f"latency: {result.latency_check.text}, on {result.latency_check.device}")
    if "report-html" in result.files:
        _say(f"report: {result.files['report-html'].path}")


def _run_states(folder: Path) -> list[SavedState]:
    """Those that an earlier run has left in the folder."""
    return [
        SavedState(folder / saved["path"], saved["sha256"], saved["size_bytes"], saved["step"])
        for saved in _read_json(folder / STATES_NAME, default=[])
    ]


def _evaluate(options: argparse.Namespace) -> int:
    loaded = load_checkpoint(options.checkpoint, options.device)
    if options.dataset_spec:
        dataset = DatasetSpec.from_json(json.loads(options.dataset_spec.read_text()))
    else:
        dataset = find_dataset(options.dataset)
    if dataset.classes != loaded.classes:
        raise CheckpointError(f"the checkpoint classifies into {loaded.classes}, the dataset has {dataset.classes}")
    dataset = replace(dataset, grey_range=loaded.grey_range)  # that which the network learned with
    with tempfile.TemporaryDirectory(prefix="autonl-cache-") as scratch:
        data = prepare(
            dataset, loaded.arch.resolution, options.cache_dir or Path(scratch), cache_limit_bytes=options.cache_bytes
        )
        loader = Loader(data, torch.device(options.device), 0, Augmentation(flip=False, padding_px=0))
        measured = evaluate(loaded.network, loader.plain(data.test))
    if options.json:
        found = {"correct": measured.correct, "images": measured.images, "top1_pct": measured.top1_pct}
        _say(json.dumps(found | {"top5_pct": measured.top5_pct, "arch_id": loaded.arch.arch_id}))
    else:
        images = counted(measured.images, "test image")
        top5 = "" if measured.top5_pct is None else f"  top-5 {measured.top5_pct:.2f}%"
        _say(f"top-1 {measured.top1_pct:.2f}%{top5}  ({images})")
    return 0


def _read_json(path: Path, default: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else default


def _say(text: str, stream: Any = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)
