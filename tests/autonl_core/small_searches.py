"""Small whole searches for tests, with a sink that keeps what they tell."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from autonl_core.bundle.bundle import Bundle
from autonl_core.bundle.latency import Latencies
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network
from autonl_core.nn.profile import WARM_UP_PASSES
from autonl_core.phases.finishing import CHECKPOINT_NAME
from autonl_core.run.host_options import HostOptions
from autonl_core.run.search_run import SearchRun
from autonl_core.search import run_search
from autonl_core.spec.builtin_weights import initial_weights, installed_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_search import with_device_table
from autonl_core.spec.device_table import DeviceTable
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.parent_search import ParentSearch
from autonl_core.spec.progress import (
    ArchitectureRecord,
    Phase,
    PlaceInSupernet,
    Progress,
    SavedState,
    Silent,
    StopRequest,
)
from autonl_core.spec.recipe import settle
from autonl_core.spec.result import Certificate, ResultFile, SearchResult
from autonl_core.training.evaluate import Score
from tests.autonl_core.digit_archives import few_digits

QUICK: dict[str, Any] = {
    "flops_budget": 400_000,
    "supernet": {
        "epochs": 2,
        "batch_size": 32,
        "candidates": 8,
        "generations": 1,
        "finalists": 2,
        "finalist_epochs": 1,
    },
    "train": {"epochs": 3, "batch_size": 32, "warmup_epochs": 1, "ema_decay": 0.9},
    "export": {"formats": []},
}
SHORT_TRAINING: dict[str, Any] = {**QUICK["train"], "epochs": 1, "warmup_epochs": 0}  # where weights are not compared


class Recorder(Silent):
    """Keeps what a search tells; asks for a stop when it was asked `stop_at` times.

    It counts from `searching` on, since how often it is asked before depends on the cache; or in `phase` alone, or from
    the event `after` on.
    """

    def __init__(
        self,
        stop_at: int | None = None,
        request: StopRequest = "drain",
        phase: Phase | None = None,
        after: EventKind | None = None,
    ) -> None:
        self.stop_at, self.request, self.phase, self.after = stop_at, request, phase, after
        self.asked = 0
        self.phases: list[Phase] = []
        self.fractions: list[float] = []
        self.trainings: list[tuple[str | None, int, int]] = []  # baseline, epoch, epochs, in the phase `training`
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.states: list[SavedState] = []
        self.best: list[ArchitectureRecord] = []
        self.places: list[tuple[ArchitectureRecord, PlaceInSupernet]] = []
        self.kept: list[tuple[ArchitectureRecord, Path]] = []
        self.supernets: list[Path] = []
        self.points: list[tuple[Phase, int, Mapping[str, float]]] = []

    def progress(self, progress: Progress) -> None:
        if progress.phase not in self.phases:
            self.phases.append(progress.phase)
        self.fractions.append(progress.fraction)
        where = (progress.baseline, progress.epoch, progress.epochs)
        if progress.phase == "training" and progress.epochs and where not in self.trainings:
            self.trainings.append(where)

    def metrics(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        self.points.append((phase, epoch, values))

    def event(self, kind: str, detail: Mapping[str, Any]) -> None:
        json.dumps(detail)
        self.events.append((kind, detail))

    def architecture(self, record: ArchitectureRecord, place: PlaceInSupernet | None = None) -> None:
        self.best.append(record)
        if place is not None:
            self.places.append((record, place))

    def saved(self, state: SavedState) -> None:
        self.states.append(state)

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None:
        self.kept.append((record, checkpoint))

    def supernet_kept(self, path: Path) -> None:
        self.supernets.append(path)

    def stop_requested(self) -> StopRequest | None:
        now = self.phases[-1]
        counts = now == self.phase if self.phase else now != "preparing"
        self.asked += counts and (self.after is None or any(kind == self.after for kind, _ in self.events))
        return self.request if self.asked == self.stop_at else None


@dataclass(frozen=True)
class LeftBehind:
    """A finished search, and its supernet."""

    search: ParentSearch
    supernet: Path


def checkpoint_alone(
    run: SearchRun, checkpoint: Path, network: Network, score: Score, meanwhile: object = None
) -> Bundle:
    """In place of `make_bundle`, for tests of what comes before it: a bundle takes longer than such a search."""
    run.still_wanted()
    nothing = Certificate("", "", network.arch.resolution, run.config.flops_budget, 0, 0, 0.0, {})
    return Bundle(run.work_dir, score, {}, nothing, Latencies({}, {}), {}, {})


def packed_alone(run: SearchRun, bundle: Bundle, network: Network) -> dict[str, ResultFile]:
    """In place of `pack_bundle`."""
    checkpoint = bundle.folder / CHECKPOINT_NAME
    return {"safetensors": ResultFile(checkpoint, sha256_of(checkpoint), checkpoint.stat().st_size)}


def search(
    work_dir: Path,
    cache_dir: Path,
    dataset: DatasetSpec | None = None,
    recorder: Recorder | None = None,
    bundle: bool = False,
    report: bool = False,
    parent: LeftBehind | None = None,
    device_table: DeviceTable | None = None,
    **changes: Any,
) -> SearchResult:
    """A search with the QUICK settings and `changes`; with a whole bundle, or a report alone, only if asked for.

    Args:
        dataset: `few_digits()` by default.
        parent: the search to go on from.
        device_table: what `constraints.latency_ms` is predicted by.
    """
    dataset = dataset or few_digits()
    host_names = ("device", "save_steps", "micro_batches", "cache_limit_bytes", "supernet_limit_bytes")
    left = None if parent is None else parent.supernet
    host = HostOptions(
        cache_dir=cache_dir, parent_supernet=left, **{name: changes.pop(name) for name in host_names if name in changes}
    )
    resume_from = changes.pop("resume_from", ())
    asked = SearchConfig.model_validate({"dataset": dataset.name, **QUICK, **changes})
    asked = with_device_table(asked, dataset, device_table)
    config = settle(asked, dataset, installed_weights(), lambda search_id: _known(parent, search_id))
    recorder = recorder or Recorder()
    work_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if not bundle:
            stack.enter_context(mock.patch("autonl_core.nn.profile.TIMED_PASSES", WARM_UP_PASSES + 1))
            stack.enter_context(mock.patch("autonl_core.phases.finishing.make_bundle", checkpoint_alone))
            stack.enter_context(mock.patch("autonl_core.phases.finishing.pack_bundle", packed_alone))
            stack.enter_context(mock.patch("autonl_core.run.prepared_process.PreparedProcess.start"))
            stack.enter_context(mock.patch("autonl_core.run.search_run.SearchRun.prepare_export"))
        if not bundle and not report:
            stack.enter_context(mock.patch("autonl_core.phases.finishing.ReportWriter.write", return_value={}))
        return run_search(
            config,
            dataset,
            work_dir,
            sink=recorder,
            stop=recorder,
            resume_from=resume_from,
            host=host,
            init=initial_weights(config.init),
        )


def _known(parent: LeftBehind | None, search_id: str) -> ParentSearch:
    assert parent is not None
    assert parent.search.id == search_id
    return parent.search


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for decoded images, shared by all searches of a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[SearchResult, Recorder]:
    """A search that ran without interruption, with a report; tests only read from it."""
    recorder = Recorder()
    return search(tmp_path_factory.mktemp("uninterrupted"), cache, recorder=recorder, report=True), recorder
