"""Published networks at the same MACs: trained like the chosen one, resumable, and never its undoing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from autonl_core.errors import BudgetError, CheckpointError, Diverged, Interrupted
from autonl_core.run import reporter
from autonl_core.run.pace import WorkPlan
from autonl_core.spec.arch_string import decode
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import scale_baseline
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.result import SearchResult
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import ZOO
from autonl_core.training.lost_steps import LostSteps
from tests.autonl_core.digit_archives import few_digits
from tests.autonl_core.small_searches import QUICK, Recorder, search

STEPS = 30  # of training one network: 10 batches of 32 in each of 3 epochs
ASKED: dict[str, Any] = {"baselines": ["mobilenet_v2"]}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Recorder:
    """A search that was stopped in the middle of the second epoch of its baseline."""
    recorder = Recorder(STEPS + 13, phase="training")
    with pytest.raises(Interrupted):
        search(tmp_path_factory.mktemp("stopped"), cache, recorder=recorder, **ASKED)
    return recorder


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, cache: Path, stopped: Recorder) -> tuple[SearchResult, Recorder]:
    recorder = Recorder()
    folder = tmp_path_factory.mktemp("resumed")
    return search(folder, cache, recorder=recorder, resume_from=stopped.states, **ASKED), recorder


@pytest.mark.long
def test_it_costs_what_the_budget_allows_and_is_scored_once(resumed: tuple[SearchResult, Recorder]) -> None:
    result, recorder = resumed
    (found,) = result.to_json()["baselines"]
    arch = decode(found["arch_string"])
    assert found["name"] == "mobilenet_v2"
    assert (found["macs"], found["params"]) == (count_macs(arch).total, count_params(arch))
    assert abs(found["macs"] - 400_000) <= 0.03 * 400_000
    assert found["test_top1_pct"] == 100 * found["test_correct"] / few_digits().test_images
    assert found["problem"] is None
    assert [detail for kind, detail in recorder.events if kind == "baseline_trained"] == [found]


@pytest.mark.long
def test_stopped_again_at_another_step_it_ends_the_same(
    resumed: tuple[SearchResult, Recorder], stopped: Recorder, tmp_path: Path, cache: Path
) -> None:
    again = Recorder(9, phase="training")
    with pytest.raises(Interrupted):
        search(tmp_path / "1", cache, recorder=again, resume_from=stopped.states, save_steps=7, **ASKED)
    result = search(tmp_path / "2", cache, resume_from=again.states, **ASKED)
    assert result.baselines == resumed[0].baselines
    assert result.weights_sha256 == resumed[0].weights_sha256
    assert result.exact


@pytest.mark.long
def test_it_can_be_asked_for_afterwards_and_not_be_taken_back(
    resumed: tuple[SearchResult, Recorder], stopped: Recorder, tmp_path: Path, cache: Path
) -> None:
    without = Recorder(STEPS - 1, phase="training")
    with pytest.raises(Interrupted):
        search(tmp_path / "1", cache, recorder=without)
    result = search(tmp_path / "2", cache, resume_from=without.states, **ASKED)
    assert result.baselines == resumed[0].baselines
    assert (result.weights_sha256, result.exact) == (resumed[0].weights_sha256, True)
    with pytest.raises(CheckpointError, match="baselines was"):
        search(tmp_path / "3", cache, resume_from=stopped.states)


def test_its_curve_stands_beside_that_of_the_chosen_network_over_all_attempts(
    resumed: tuple[SearchResult, Recorder], stopped: Recorder
) -> None:
    state = torch.load(resumed[1].states[-1].path, weights_only=True)
    points = state["history"]["training"]["points"]
    assert [epoch for epoch, _, _ in points] == [1, 2, 3, 1, 2, 3]
    assert [set(values) for _, _, values in points[3:]] == 3 * [
        {"mobilenet_v2/loss", "mobilenet_v2/train_top1_pct", "mobilenet_v2/lr"}
    ]
    reported = [values for phase, _, values in stopped.points + resumed[1].points if phase == "training"]
    assert [values for _, _, values in points] == reported
    assert [len(state["history"][phase]["points"]) for phase in ("searching", "deriving")] == [2, 2]
    seconds = [at_s for _, at_s, _ in points]
    assert seconds == sorted(seconds)


@pytest.mark.long
def test_progress_names_it_and_counts_its_own_epochs(
    stopped: Recorder, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "REPORT_INTERVAL_S", 0.0)
    first, second = Recorder(STEPS + 1, phase="training"), Recorder()
    with pytest.raises(Interrupted):
        search(tmp_path / "1", cache, recorder=first, **ASKED)
    search(tmp_path / "2", cache, recorder=second, resume_from=stopped.states, **ASKED)
    assert first.trainings[:3] == [(None, 1, 3), (None, 2, 3), (None, 3, 3)]
    assert second.trainings == [("mobilenet_v2", 2, 3), ("mobilenet_v2", 3, 3)]


def test_one_that_diverges_has_no_score_and_does_not_fail_the_search(
    stopped: Recorder, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(steps: LostSteps, loss: float) -> bool:
        raise Diverged("the loss was nan for 20 steps in a row; lower the learning rate (0.1)")

    monkeypatch.setattr(LostSteps, "skip", explode)
    recorder = Recorder()
    result = search(tmp_path, cache, recorder=recorder, resume_from=stopped.states, **ASKED)
    (found,) = result.baselines
    assert (found.test_correct, found.test_top1_pct) == (None, None)
    assert "lower the learning rate" in str(found.problem)
    assert recorder.fractions[-1] > 0.9


def test_each_counts_as_much_work_as_the_chosen_network() -> None:
    def work(**changes: Any) -> float:
        config = SearchConfig.model_validate({"dataset": "digits", **QUICK, **changes})
        return WorkPlan(config, 600_000, 1294, 1438).total

    one = 3 * 400_000 * 3 * 1438  # forward and backward, MACs, epochs, images
    assert work(baselines=["mobilenet_v2", "fbnet_c"]) == pytest.approx(work() + 2 * one)


@pytest.mark.parametrize("name", ZOO)
def test_every_published_network_can_be_asked_for_once(name: str) -> None:
    config = SearchConfig.model_validate({"dataset": "digits", "flops_budget": 1, "baselines": [name]})
    assert config.to_json()["baselines"] == [name]
    assert SearchConfig.model_validate(config.to_json()) == config
    with pytest.raises(ValueError, match="only once"):
        SearchConfig.model_validate({"dataset": "digits", "flops_budget": 1, "baselines": [name, name]})


def test_out_of_reach_is_said_with_its_name_and_the_way_out() -> None:
    space = get_space("tiny", 8, 1000)
    with pytest.raises(BudgetError, match=r"mobilenet_v2: no width multiplier .* leave it out of `baselines`"):
        scale_baseline("mobilenet_v2", space, space.macs_range()[0])
