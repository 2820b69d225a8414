"""Searches that start from pretrained weights: what they promise, what they tell, and going on after a stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from autonl_core.data.views import ViewLoader
from autonl_core.datasets.scan import scan
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted
from autonl_core.files import sha256_of
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.nn.weights import load_weights
from autonl_core.phases.preparing import open_run
from autonl_core.phases.searching import make_supernet
from autonl_core.run.adapted import Adapted
from autonl_core.run.host_options import HostOptions
from autonl_core.run.pace import Pace
from autonl_core.run.pretrained import at_resolution
from autonl_core.run.run_state import StateDict
from autonl_core.run.search_run import SearchRun
from autonl_core.run.threads import computing_with
from autonl_core.spec import head_width
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS, initial_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import PHASES, Phase, SavedState, StopRequest
from autonl_core.spec.published_net import adapt
from autonl_core.spec.result import SearchResult
from autonl_core.spec.weight_set import IMAGENET, InitialWeights, WeightSet
from autonl_core.spec.zoo import ZOO
from autonl_core.supernet.start import as_in_space, choice_of
from tests.autonl_core.few_clothes import few_clothes
from tests.autonl_core.reference_vectors import port_state
from tests.autonl_core.small_searches import Recorder, search

NAME = "efficientnet-lite0"
BUDGET = 28_000_000  # of which 80 pixels and 64 leave about as much of the network as the best share
SMALL: dict[str, Any] = {
    "init": NAME,
    "flops_budget": BUDGET,
    "val_fraction": 0.25,
    "teacher": {"epochs": 1, "resolution": 64, "batch_size": 8},
    "supernet": {
        "epochs": 1,
        "batch_size": 8,
        "candidates": 2,
        "generations": 0,
        "finalists": 2,
        "finalist_epochs": 1,
    },
    "train": {"epochs": 1, "batch_size": 8, "warmup_epochs": 0},
}
TEACHER_STEPS = TRIAL_STEPS = 2  # 18 images that fit weights, in batches of 8


@pytest.fixture(scope="module", autouse=True)
def options_matter() -> Iterator[None]:
    """So few photos never show that, and without it no final is held."""
    with mock.patch("autonl_core.phases.scoring.chance_of", return_value=0.01):
        yield


@pytest.fixture(scope="module")
def clothes(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    """Eight training and two test photos of each of three classes."""
    return scan("clothes", few_clothes(tmp_path_factory.mktemp("clothes") / "clothes.zip"))


@pytest.fixture(scope="module", autouse=True)
def two_threads() -> Iterator[None]:
    """One that trains, one that makes the next batch."""
    with computing_with(2):
        yield


class Watching(Recorder):
    """Asks for a stop at one moment and ever after, as a service does, and notes with how many threads it computed."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.threads: dict[Phase, list[int]] = {}

    def stop_requested(self) -> StopRequest | None:
        super().stop_requested()
        self.threads.setdefault(self.phases[-1], []).append(torch.get_num_threads())
        return self.request if self.stop_at is not None and self.asked >= self.stop_at else None

    def details(self, kind: str) -> list[dict[str, Any]]:
        """Of all events of this kind, in order."""
        return [dict(detail) for found, detail in self.events if found == kind]


@pytest.fixture(scope="module", autouse=True)
def short_trainings_count_as_long() -> Iterator[None]:
    """So that results have the narrower head that longer trainings give them."""
    with mock.patch.object(head_width, "LEAST_TRAINED_IMAGES", 0):
        yield


@pytest.fixture(scope="module")
def paces() -> list[Pace]:
    """The pace of `whole`."""
    return []


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, clothes: DatasetSpec, paces: list[Pace]
) -> tuple[SearchResult, Watching]:
    """A search that ran without interruption."""
    recorder, resume = Watching(), SearchRun.resume

    def resume_watched(run: SearchRun, saved: Sequence[SavedState]) -> StateDict | None:
        paces.append(run.reporter.pace)
        return resume(run, saved)

    with mock.patch.object(SearchRun, "resume", resume_watched):
        return search(tmp_path_factory.mktemp("whole"), cache, clothes, recorder, **SMALL), recorder


@pytest.mark.long
def test_the_result_keeps_its_budget_and_has_learned_on_photos_fed_as_the_weights_were(
    whole: tuple[SearchResult, Watching],
) -> None:
    result, recorder = whole
    assert 0.97 * BUDGET <= result.architecture.macs <= BUDGET
    loaded = load_checkpoint(result.checkpoint)
    assert count_macs(loaded.arch).total == result.architecture.macs
    expected = BUILTIN_WEIGHTS.get(NAME).weights.normalisation
    assert (loaded.mean, loaded.std) == (expected.mean, expected.std)
    assert loaded.arch.resolution == recorder.details("resolution_chosen")[0]["resolution"]
    assert recorder.details("head_narrowed") == [{"head_channels": 320, "instead_of": 1280}]
    assert loaded.arch.head_channels == 320
    assert result.exact


def test_the_teacher_and_every_resolution_are_reported(whole: tuple[SearchResult, Watching]) -> None:
    _, recorder = whole
    assert [kind for kind, _ in recorder.events][:4] == [
        "teacher_adapted",
        "resolution_tried",
        "resolution_tried",
        "resolution_chosen",
    ]
    (teacher,) = recorder.details("teacher_adapted")
    lite0 = adapt(ZOO["efficientnet_lite0"].arch, resolution=64, num_classes=3)
    assert (teacher["weights"], teacher["resolution"], teacher["macs"]) == (NAME, 64, count_macs(lite0).total)
    assert 0 <= teacher["val_top1_pct"] <= 100
    tried, (chosen,) = recorder.details("resolution_tried"), recorder.details("resolution_chosen")
    assert [trial["resolution"] for trial in tried] == [80, 64]
    assert all(0.97 * BUDGET <= trial.pop("macs") <= BUDGET for trial in tried)
    assert chosen == min(tried, key=lambda trial: trial["val_loss"])
    (images,) = {measured["val_images"] for measured in (teacher, chosen, *tried)}
    right = images * teacher["val_top1_pct"] / 100
    assert right == pytest.approx(round(right), abs=images * 5e-5)  # a whole number, but for two digits of percent


def test_progress_never_falls_back_and_phases_come_in_order(whole: tuple[SearchResult, Watching]) -> None:
    _, recorder = whole
    assert tuple(recorder.phases) == PHASES
    assert recorder.fractions == sorted(recorder.fractions)


def test_what_only_looks_at_networks_has_all_threads(whole: tuple[SearchResult, Watching]) -> None:
    """While networks learn from a teacher, the next batch has the other one."""
    threads = whole[1].threads
    assert set(threads["training"]) == {1}
    assert threads["deriving"][0] == 2  # candidates are scored, and then
    assert threads["deriving"][-1] == 1  # finalists learn
    assert threads["evaluating"][0] == 2


def test_the_work_that_was_planned_is_the_work_that_was_done(
    whole: tuple[SearchResult, Watching], paces: list[Pace]
) -> None:
    (pace,) = paces
    assert whole[0].exact  # it ran
    assert pace.done == pytest.approx(pace.total, rel=0.05)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_stopped_in_every_phase_a_search_ends_as_if_it_had_not_been(
    whole: tuple[SearchResult, Watching], tmp_path: Path, cache: Path, clothes: DatasetSpec
) -> None:
    """One attempt after the other goes on from where the last one was told to stop."""
    stops: list[tuple[Phase, int]] = [
        ("adapting", 1),  # after a step of the teacher
        ("adapting", TEACHER_STEPS),  # after its other step, a step of the first trial
        ("adapting", TRIAL_STEPS),  # the same of the second trial
        ("searching", 1),
        ("deriving", 16),
        ("training", 1),
    ]
    states: list[SavedState] = []
    reached = []
    for attempt, (phase, step) in enumerate(stops):
        stopped = Recorder(step, "drain", phase)
        with pytest.raises(Interrupted, match="drain"):
            search(tmp_path / str(attempt), cache, clothes, stopped, resume_from=states, **SMALL)
        states = [*states, *stopped.states]
        saved = torch.load(states[-1].path, weights_only=True)
        parts = [key for key in ("trainer", "teacher", "trial", "turn") if saved.get(key) is not None]
        reached.append((saved["phase"], parts, len(saved.get("trials", ()))))
        states = states[-2:]
    assert reached == [
        ("adapting", ["trainer"], 0),
        ("adapting", ["teacher", "trial"], 0),
        ("adapting", ["teacher", "trial"], 1),
        ("searching", [], 0),
        ("deriving", ["turn"], 0),
        ("training", ["trainer"], 0),
    ]
    last = Watching()
    result = search(tmp_path / "last", cache, clothes, last, resume_from=states, **SMALL)
    assert result.weights_sha256 == whole[0].weights_sha256
    assert result.test_correct == whole[0].test_correct
    assert result.exact
    assert last.details("teacher_adapted") == []  # that was reported by an attempt before


@pytest.mark.parametrize("asked", [1, TEACHER_STEPS + 1], ids=["teacher", "trial"])
@pytest.mark.long
def test_a_search_cancelled_while_it_adapts_keeps_a_scored_network_within_the_budget(
    asked: int, tmp_path: Path, cache: Path, clothes: DatasetSpec
) -> None:
    stopped = Watching(asked, "cancel", "adapting")
    with pytest.raises(Interrupted, match="cancel"):
        search(tmp_path, cache, clothes, stopped, **SMALL)
    assert stopped.details("best_not_kept") == []
    ((record, checkpoint),) = stopped.kept
    loaded = load_checkpoint(checkpoint)
    assert loaded.arch.arch_id == record.arch_id
    assert 0.97 * BUDGET <= count_macs(loaded.arch).total == record.macs <= BUDGET
    assert record.val_top1_pct is not None
    assert loaded.mean == BUILTIN_WEIGHTS.get(NAME).weights.normalisation.mean


@pytest.mark.long
def test_with_a_resolution_asked_for_none_is_tried(tmp_path: Path, cache: Path, clothes: DatasetSpec) -> None:
    stopped = Watching(1, "drain", "searching")
    with pytest.raises(Interrupted, match="drain"):
        search(tmp_path, cache, clothes, stopped, **SMALL, resolution=64)
    assert [kind for kind, _ in stopped.events] == ["teacher_adapted", "head_narrowed"]
    state = torch.load(stopped.states[-1].path, weights_only=True)
    assert (state["phase"], state["adapted"]["resolution"]) == ("searching", 64)


def opened(
    tmp_path: Path, cache: Path, dataset: DatasetSpec, start: InitialWeights | None = None, **changes: Any
) -> SearchRun:
    """A run that did nothing yet."""
    fields = {"dataset": dataset.name, "search_space": "lite", **SMALL, **changes}
    recorder = Recorder()
    return open_run(
        SearchConfig.model_validate(fields),
        dataset,
        tmp_path,
        sink=recorder,
        stop=recorder,
        resume_from=(),
        host=HostOptions(cache_dir=cache),
        cache_dir=cache,
        dataset_report=None,
        init=start or initial_weights(NAME),
    )


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_labels_are_those_of_the_images_and_of_the_teacher_by_its_weight(
    weight: float, tmp_path: Path, cache: Path, clothes: DatasetSpec
) -> None:
    run = opened(tmp_path, cache, clothes, teacher={**SMALL["teacher"], "weight": weight})
    assert run.pretrained is not None
    teacher = run.pretrained.network()
    seen: list[torch.Tensor] = []
    teacher.register_forward_hook(lambda module, inputs, logits: seen.append(logits))
    there = run.at(Adapted(teacher, 64))
    assert isinstance(there.loader, ViewLoader)
    labelled = list(there.loader.epoch(there.fit, "train", 0, 6))
    assert len(seen) == (0 if weight == 0 else len(labelled))
    plain = list(run.loader.epoch(run.fit, "train", 0, 6))
    for (x, labels), (same, true) in zip(labelled, plain, strict=True):
        assert torch.equal(x, same)  # both at 64 pixels
        if weight == 0:
            assert torch.equal(labels, true)
        else:
            with torch.no_grad():
                answer = teacher(x).softmax(1)
            expected = 0.75 * torch.nn.functional.one_hot(true, 3) + 0.25 * answer
            torch.testing.assert_close(labels, expected, rtol=1e-4, atol=1e-5)
    assert there.teacher_macs == (0 if weight == 0 else run.pretrained.teacher_macs)


def test_images_for_alphas_keep_their_true_labels(tmp_path: Path, cache: Path, clothes: DatasetSpec) -> None:
    run = opened(tmp_path, cache, clothes)
    assert run.pretrained is not None
    there = run.at(Adapted(run.pretrained.network(), 64))
    ((_, labels),) = there.loader.epoch(there.val, "slopes", 0, 6)
    assert labels.dtype == torch.int64
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 2, 2]


@pytest.mark.long
def test_autonl_s_of_the_port_starts_a_search_in_the_space_of_its_paper(
    tmp_path: Path, cache: Path, clothes: DatasetSpec
) -> None:
    path = tmp_path / "autonl_s.pt"
    torch.save(port_state("autonl_s"), path)
    weights = WeightSet(
        name="paper",
        origin="uploaded",
        network="autonl_s",
        num_classes=1000,
        resolution=224,
        normalisation=IMAGENET,
        format="pytorch-port",
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        source=None,
        licence=None,
        top1_pct=None,
    )
    fields = {"init": "paper", "search_space": "mobile-224", "flops_budget": "300M", "resolution": 224}
    changes = {**fields, "teacher": {"resolution": 224}}
    run = opened(tmp_path, cache, clothes, InitialWeights(weights, path), **changes)
    assert run.pretrained is not None
    network = run.pretrained.network()
    there = run.at(Adapted(network, 224))
    supernet = make_supernet(there)
    whole_network = supernet.derive(choice_of(there.table, as_in_space(network, there.table.space).arch)).eval()
    ((x, _),) = there.loader.plain(there.val)
    with torch.no_grad():
        expected, logits = network(x), whole_network(x)
    assert logits.shape == (6, 3)
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()
    published = load_weights(path, ZOO["autonl_s"].arch)
    other = at_resolution(published, 224).state_dict()
    assert torch.equal(network.state_dict()["head.conv.weight"], other["head.conv.weight"])
