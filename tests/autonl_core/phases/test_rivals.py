"""Rivals of a search from pretrained weights: trained with its compute, resumable at every step, scored once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted, WeightSetError
from autonl_core.phases.states import TrainingState, read_phase
from autonl_core.spec.arch_string import decode
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS
from autonl_core.spec.macs import count_macs
from autonl_core.spec.published_net import adapt
from autonl_core.spec.result import SearchResult
from autonl_core.spec.zoo import find_net
from tests.autonl_core.photo_searches import CLASSES, FROM_PRETRAINED, TEST, TRAIN, few_photos
from tests.autonl_core.small_searches import Recorder, search

pytestmark = pytest.mark.long  # whole searches on photos


LITE0 = BUILTIN_WEIGHTS.get("efficientnet-lite0").weights
ASKED: dict[str, Any] = {**FROM_PRETRAINED, "baselines": ["off-the-shelf", "uniform"]}
IMAGES, FIT, BATCH = len(CLASSES) * TRAIN, len(CLASSES) * (TRAIN - 2), 8
STEPS = IMAGES // BATCH  # of an epoch of the chosen network and of its rivals


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    return few_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def stopped(photos: DatasetSpec, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Recorder:
    """A search that was stopped in the second epoch of its first rival; the chosen network trains for one."""
    recorder = Recorder(STEPS + STEPS + 2, phase="training")
    with pytest.raises(Interrupted):
        search(tmp_path_factory.mktemp("stopped"), cache, photos, recorder, **ASKED)
    return recorder


@pytest.fixture(scope="module")
def resumed(
    photos: DatasetSpec, tmp_path_factory: pytest.TempPathFactory, cache: Path, stopped: Recorder
) -> tuple[SearchResult, Recorder]:
    recorder, folder = Recorder(), tmp_path_factory.mktemp("resumed")
    return search(folder, cache, photos, recorder, report=True, resume_from=stopped.states, **ASKED), recorder


def test_each_is_within_the_budget_and_scored_once(resumed: tuple[SearchResult, Recorder]) -> None:
    result, recorder = resumed
    whole, uniform = result.baselines
    assert (whole.name, uniform.name) == ("off-the-shelf", "uniform")
    assert decode(whole.arch_string) == adapt(find_net("efficientnet_lite0").arch, resolution=64, num_classes=3)
    assert (whole.resolution, uniform.resolution) == (64, decode(result.architecture.arch_string).resolution)
    assert 0.97 * result.flops_budget <= uniform.macs <= result.flops_budget
    for each in result.baselines:
        assert each.macs == count_macs(decode(each.arch_string)).total <= result.flops_budget
        assert each.problem is None
        assert each.test_correct is not None
        assert each.test_top1_pct == 100 * each.test_correct / (len(CLASSES) * TEST)
    events = [detail for kind, detail in recorder.events if kind == "baseline_trained"]
    assert events == [each.to_json() for each in result.baselines]


def test_each_takes_the_compute_of_the_search_within_half_an_epoch(resumed: tuple[SearchResult, Recorder]) -> None:
    result, recorder = resumed
    done = torch.load(recorder.states[-1].path, weights_only=True)["work_done"]
    whole, uniform = result.baselines
    teacher_macs, budget_macs = whole.macs, result.flops_budget  # the teacher, too, sees 64 pixels here
    of_whole = IMAGES * 3 * whole.macs  # one epoch
    of_uniform = IMAGES * (3 * budget_macs + teacher_macs)
    assert whole.epochs
    assert uniform.epochs
    search_work = done - whole.epochs * of_whole - uniform.epochs * of_uniform
    teacher_work = FIT * (1 + 3) * teacher_macs  # a classifier, and one epoch, on the images that are not held out
    assert abs(whole.epochs * of_whole - search_work) <= of_whole / 2
    assert abs(uniform.epochs * of_uniform + teacher_work - search_work) <= of_uniform / 2
    assert whole.work_share == pytest.approx(whole.epochs * of_whole / search_work, abs=1e-4)
    assert uniform.work_share == pytest.approx((uniform.epochs * of_uniform + teacher_work) / search_work, abs=1e-4)
    assert recorder.fractions == sorted(recorder.fractions)  # what is left was known from the start


@pytest.mark.long
def test_stopped_again_in_the_other_one_it_ends_the_same(
    resumed: tuple[SearchResult, Recorder], stopped: Recorder, photos: DatasetSpec, tmp_path: Path, cache: Path
) -> None:
    epochs = resumed[0].baselines[0].epochs or 0
    scoring = 1  # is asked once, too: the test images are one batch
    again = Recorder(epochs * STEPS - (STEPS + 2) + scoring + 2, phase="training")
    with pytest.raises(Interrupted):
        search(tmp_path / "1", cache, photos, again, resume_from=stopped.states, **ASKED)
    state = read_phase(torch.load(again.states[-1].path, weights_only=True))
    assert isinstance(state, TrainingState)
    assert [each.name for each in state.baselines] == ["off-the-shelf"]
    assert state.baseline is not None
    result = search(tmp_path / "2", cache, photos, resume_from=again.states, **ASKED)
    assert result.baselines == resumed[0].baselines
    assert result.weights_sha256 == resumed[0].weights_sha256
    assert (result.exact, result.init) == (True, resumed[0].init)


def test_result_and_report_say_where_the_weights_come_from(resumed: tuple[SearchResult, Recorder]) -> None:
    result, recorder = resumed
    start = result.init
    assert start is not None
    assert (start.weights, start.licence, start.sha256) == (LITE0.name, "Apache-2.0", LITE0.sha256)
    assert (start.num_classes, start.normalisation) == (1000, LITE0.normalisation)
    assert (start.teacher_resolution, start.resolution, start.trials, start.inherited) == (64, 64, (), True)
    (point,) = [values for _, _, values in _points(recorder)["adapting"] if "teacher_val_top1_pct" in values]
    assert start.teacher_val_top1_pct == point["teacher_val_top1_pct"]
    assert SearchResult.from_json(result.to_json()).init == start
    for kind in ("report-html", "report-md"):
        text = result.files[kind].path.read_text(encoding="utf-8")
        for shown in ("Apache-2.0", LITE0.name, LITE0.sha256, "64 pixels were the only resolution to try"):
            assert shown in text, (kind, shown)


def _points(recorder: Recorder) -> dict[str, list[tuple[int, float, Mapping[str, float]]]]:
    history = torch.load(recorder.states[-1].path, weights_only=True)["history"]
    return {phase: entry["points"] for phase, entry in history.items()}


def test_a_budget_that_the_whole_network_exceeds_everywhere_is_said(
    photos: DatasetSpec, tmp_path: Path, cache: Path
) -> None:
    asked = {**ASKED, "flops_budget": "20M", "baselines": ["off-the-shelf"]}
    (found,) = search(tmp_path, cache, photos, **asked).baselines
    smallest = count_macs(adapt(find_net("efficientnet_lite0").arch, resolution=64, num_classes=3)).total
    assert (found.macs, found.epochs, found.test_correct) == (smallest, 0, None)
    assert found.problem == f"even at 64 pixels it takes {smallest:,} MACs, and the budget is 20,000,000"


@pytest.mark.parametrize("name", ["off-the-shelf", "uniform"])
def test_a_search_from_random_weights_has_no_rivals(name: str, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(WeightSetError, match=rf"^/baselines/1: '{name}' .* starts at random .* leave it out"):
        search(tmp_path, cache, baselines=["mobilenet_v2", name])
