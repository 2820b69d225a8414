"""A whole search, small: its guarantees, its determinism, and going on after a stop."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError, CheckpointError, Diverged, Interrupted
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import PHASES, SavedState
from autonl_core.spec.result import SearchResult
from tests.autonl_core.digit_archives import FEW_DIGITS_ZIP, digits_zip, few_digits
from tests.autonl_core.small_searches import QUICK, SHORT_TRAINING, Recorder, search


class TestResult:
    def test_fits_its_budget_and_says_how_much_is_left(self, uninterrupted: tuple[SearchResult, Recorder]) -> None:
        result, _ = uninterrupted
        arch = ArchSpec.from_json(result.architecture.arch)
        assert result.architecture.macs == count_macs(arch).total
        assert 0.97 * 400_000 <= result.architecture.macs <= 400_000
        assert result.slack_pct == pytest.approx(100 * (1 - result.architecture.macs / 400_000))
        assert result.architecture.arch_id == arch.arch_id

    def test_learned_something(self, uninterrupted: tuple[SearchResult, Recorder]) -> None:
        result, _ = uninterrupted
        assert result.test_images == few_digits().test_images
        assert result.architecture.test_top1_pct == 100 * result.test_correct / result.test_images
        assert result.architecture.test_top1_pct > 30  # of ten classes, from 320 images in three epochs
        assert result.stop_reason == "converged"

    def test_has_the_time_of_every_layer(self, uninterrupted: tuple[SearchResult, Recorder]) -> None:
        result, _ = uninterrupted
        blocks = [f"block {number}" for number, _ in enumerate(result.architecture.arch["blocks"], start=1)]
        assert list(result.layer_times_ms) == ["stem", *blocks, "head", "classifier"]
        assert min(result.layer_times_ms.values()) > 0

    def test_passes_through_all_phases_in_order(self, uninterrupted: tuple[SearchResult, Recorder]) -> None:
        result, recorder = uninterrupted
        phases = [phase for phase in PHASES if phase != "adapting"]  # there is nothing to adapt at random weights
        assert recorder.phases == phases
        assert set(result.seconds_by_phase) == set(phases)
        assert recorder.fractions == sorted(recorder.fractions)
        exporting = {fraction for fraction in recorder.fractions if fraction > 0.75}
        assert len(exporting) > 1  # after the last epoch it moves on
        assert max(exporting) > 0.97

    def test_every_current_best_fits_the_budget_too(self, uninterrupted: tuple[SearchResult, Recorder]) -> None:
        _, recorder = uninterrupted
        assert len(recorder.best) >= 4  # per epoch of the search, after each round, and the result
        assert all(record.macs <= 400_000 for record in recorder.best)
        assert [record.trained for record in recorder.best][-1]

    def test_says_how_the_choice_compares_with_networks_that_owe_nothing_to_the_search(
        self, uninterrupted: tuple[SearchResult, Recorder]
    ) -> None:
        result, _ = uninterrupted
        assert {"uniform", "widest", "random", "drawn"} <= set(result.comparison["mean"])
        (chosen,) = (network for network in result.networks if network.chosen)
        assert chosen.arch_string == result.architecture.arch_string
        assert chosen.final_val_top1_pct == result.architecture.val_top1_pct
        assert len(result.networks) == result.comparison["candidates"]
        assert all(0.97 * result.flops_budget <= network.macs <= result.flops_budget for network in result.networks)
        assert result.comparison["chosen"] in {"by_slopes", "by_scores", "drawn", "uniform", "widest"}

    def test_is_scored_the_same_by_a_process_that_never_ran_the_search(
        self, uninterrupted: tuple[SearchResult, Recorder]
    ) -> None:
        result, _ = uninterrupted
        command = [sys.executable, "-m", "autonl_core", "evaluate", "--checkpoint", str(result.checkpoint)]
        done = subprocess.run(
            [*command, "--dataset", str(FEW_DIGITS_ZIP), "--json", "--threads", "1"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        scored = json.loads(done.stdout)
        assert scored["correct"] == result.test_correct
        assert scored["images"] == result.test_images
        assert scored["arch_id"] == result.architecture.arch_id

    @pytest.mark.long
    def test_a_relative_folder_serves_as_well(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        result = search(Path("out"), Path("cache"), bundle=True, train=SHORT_TRAINING, export={"formats": ["onnx"]})
        assert {"safetensors", "onnx", "bundle"} <= set(result.files)
        assert all(file.path.is_relative_to(tmp_path / "out") for file in result.files.values())


class TestDeterminism:
    def test_the_same_seed_gives_the_same_architecture_and_the_same_weights(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        first, again = uninterrupted[0], search(tmp_path, cache)
        assert again.architecture.arch_id == first.architecture.arch_id
        assert again.weights_sha256 == first.weights_sha256
        assert again.exact

    def test_meets_other_limits_too_and_so_does_every_network_on_the_way(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        unlimited, recorder = uninterrupted[0].architecture.params, Recorder()
        at_most = int(0.7 * unlimited)
        result = search(tmp_path, cache, recorder=recorder, train=SHORT_TRAINING, constraints={"params": at_most})
        assert result.architecture.params <= at_most
        assert all(record.params <= at_most for record in recorder.best)
        assert all(network.params <= at_most for network in result.networks)
        assert len({network.arch_string for network in result.networks}) > 5

    @pytest.mark.long
    def test_another_seed_gives_other_weights(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        assert search(tmp_path, cache, seed=1).weights_sha256 != uninterrupted[0].weights_sha256

    @pytest.mark.long
    def test_shuffled_labels_give_another_architecture_and_the_result_says_so(
        self, tmp_path: Path, cache: Path
    ) -> None:
        enough: dict[str, Any] = {  # for the search to learn what there is to learn
            "supernet": {**QUICK["supernet"], "epochs": 6, "batch_size": 32, "candidates": 16},
            "train": {"epochs": 8},
        }
        true = search(tmp_path / "true", cache, digits_zip(tmp_path / "true.zip", per_class=60), **enough)
        shuffled = digits_zip(tmp_path / "shuffled.zip", per_class=60, shuffled=True)
        false = search(tmp_path / "false", cache, shuffled, **enough)
        assert true.architecture.test_top1_pct is not None
        assert false.architecture.test_top1_pct is not None
        assert true.architecture.test_top1_pct > 60  # of ten classes, after eight epochs
        assert false.architecture.test_top1_pct < 20
        assert (true.stop_reason, false.stop_reason) == ("converged", "collapsed")
        assert true.comparison["chance"] < 0.05 <= false.comparison["chance"]
        assert false.architecture.arch_id != true.architecture.arch_id
        assert false.weights_sha256 != true.weights_sha256


@pytest.fixture(scope="session")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    return digits_zip(tmp_path_factory.mktemp("shuffled") / "digits.zip", per_class=40, shuffled=True)


class TestLabelsThatMeanNothing:
    """Then options explain nothing: no final is held between networks that differ by chance."""

    @pytest.mark.long
    def test_what_the_final_would_have_taken_goes_to_training(
        self, shuffled: DatasetSpec, tmp_path: Path, cache: Path
    ) -> None:
        recorder = Recorder()
        result = search(tmp_path, cache, shuffled, recorder=recorder)
        assert result.comparison["chance"] >= 0.05
        assert not any(key.startswith("final_round") for key in result.comparison)
        freed = result.comparison["freed_epochs"]
        trained = [epoch for phase, epoch, _ in recorder.points if phase == "training"]
        assert trained == list(range(1, 3 + freed + 1))
        assert freed == 1  # two finalists on 90% of the images, one pass each, are less than two
        ((_, detail),) = [event for event in recorder.events if event[0] == "derived_without_final"]
        assert detail == {
            "origin": result.comparison["chosen"],
            "chance": result.comparison["chance"],
            "freed_epochs": 1,
        }
        assert recorder.fractions == sorted(recorder.fractions)
        assert recorder.fractions[-1] > 0.9

    @pytest.mark.long
    def test_resumed_while_it_trains_it_ends_the_same(self, shuffled: DatasetSpec, tmp_path: Path, cache: Path) -> None:
        whole = search(tmp_path / "whole", cache, shuffled)
        stopped = Recorder(stop_at=5, phase="training")
        with pytest.raises(Interrupted):
            search(tmp_path / "stopped", cache, shuffled, recorder=stopped)
        again = search(tmp_path / "stopped", cache, shuffled, resume_from=stopped.states)
        assert again.exact
        assert again.weights_sha256 == whole.weights_sha256

    @pytest.mark.long
    def test_a_single_finalist_has_nothing_to_leave(self, shuffled: DatasetSpec, tmp_path: Path, cache: Path) -> None:
        one: dict[str, Any] = {"supernet": {**QUICK["supernet"], "finalists": 1}}
        assert search(tmp_path, cache, shuffled, **one).comparison["freed_epochs"] == 0


class TestResume:
    @pytest.mark.long
    def test_without_room_for_decoded_images_it_ends_the_same(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path
    ) -> None:
        stopped, resumed = Recorder(stop_at=14), Recorder()
        changes: dict[str, Any] = {"cache_limit_bytes": 1000, "export": {"formats": []}}
        for recorder, states in ((stopped, []), (resumed, stopped.states)):
            with contextlib.suppress(Interrupted):
                result = search(tmp_path / "work", tmp_path / "cache", recorder=recorder, resume_from=states, **changes)
        assert stopped.states
        assert "images_decoded_in_every_epoch" in [kind for kind, _ in resumed.events]
        assert result.exact
        assert result.weights_sha256 == uninterrupted[0].weights_sha256
        assert result.test_correct == uninterrupted[0].test_correct

    @pytest.mark.parametrize(
        "stop_at", [10, 70, *(pytest.param(step, marks=pytest.mark.long) for step in (1, 22, 42, 50))]
    )  # steps of the supernet, of scoring, of each finalist, of training
    def test_a_search_stopped_anywhere_ends_as_if_it_had_not_been(
        self, stop_at: int, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        stopped = Recorder(stop_at)
        with pytest.raises(Interrupted, match="drain"):
            search(tmp_path / "1", cache, recorder=stopped)
        resumed = Recorder()
        result = search(tmp_path / "2", cache, recorder=resumed, resume_from=stopped.states)
        assert result.weights_sha256 == uninterrupted[0].weights_sha256
        assert result.exact
        assert resumed.events[0][0] == "resumed"
        assert resumed.states[0].step == stopped.states[-1].step + 1

    @pytest.mark.long
    def test_a_run_state_every_few_steps_changes_nothing_but_how_much_is_lost(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        often = Recorder()
        result = search(tmp_path / "often", cache, recorder=often, save_steps=3)
        assert result.weights_sha256 == uninterrupted[0].weights_sha256
        assert len(often.states) > 2 * len(uninterrupted[1].states)

    @pytest.mark.long
    def test_candidates_that_were_scored_are_not_scored_again(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        stopped = Recorder(5, phase="deriving")
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=stopped)
        state = torch.load(stopped.states[-1].path, weights_only=True)
        assert (state["phase"], len(state["scored"])) == ("deriving", 5)
        resumed = Recorder(3, phase="deriving")
        with pytest.raises(Interrupted):
            search(tmp_path / "2", cache, recorder=resumed, resume_from=stopped.states)
        assert len(torch.load(resumed.states[-1].path, weights_only=True)["scored"]) == 5 + 3
        result = search(tmp_path / "3", cache, resume_from=resumed.states)
        assert result.weights_sha256 == uninterrupted[0].weights_sha256
        assert result.comparison == uninterrupted[0].comparison
        assert result.exact

    @pytest.mark.long
    def test_the_training_of_a_finalist_goes_on_in_its_middle(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        stopped = Recorder(3, after=EventKind.CANDIDATES_SCORED)
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=stopped)
        state = torch.load(stopped.states[-1].path, weights_only=True)
        assert (state["phase"], state["turn"]["position"] != [0, 0]) == ("deriving", True)
        result = search(tmp_path / "2", cache, resume_from=stopped.states)
        assert result.weights_sha256 == uninterrupted[0].weights_sha256

    @pytest.mark.long
    def test_a_damaged_state_is_reported_and_the_one_before_is_used(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        stopped = Recorder(3, after=EventKind.CANDIDATES_SCORED)
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=stopped)
        newest = stopped.states[-1].path
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
        resumed = Recorder()
        result = search(tmp_path / "2", cache, recorder=resumed, resume_from=stopped.states)
        assert resumed.events[0][0] == "checkpoint_corrupt"
        assert resumed.events[0][1]["step"] == stopped.states[-1].step
        assert result.weights_sha256 == uninterrupted[0].weights_sha256

    def test_a_state_of_another_search_is_refused_by_what_differs(self, tmp_path: Path, cache: Path) -> None:
        stopped = Recorder(5)
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=stopped)
        with pytest.raises(CheckpointError, match="seed was 0, is 1"):
            search(tmp_path / "2", cache, resume_from=stopped.states, seed=1)

    @pytest.mark.long
    def test_the_papers_algorithm_resumes_exactly_too(self, tmp_path: Path, cache: Path) -> None:
        stopped = Recorder(14)
        changes: dict[str, Any] = {"algorithm": "autonl-paper", "train": SHORT_TRAINING}
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=stopped, **changes)
        resumed = search(tmp_path / "2", cache, resume_from=stopped.states, **changes)
        assert resumed.weights_sha256 == search(tmp_path / "3", cache, **changes).weights_sha256

    def test_with_no_good_state_left_it_does_not_start_over_silently(self, tmp_path: Path, cache: Path) -> None:
        gone = SavedState(tmp_path / "state-000007.pt", "0" * 64, 10, 7)
        with pytest.raises(CheckpointError, match="state-000007"):
            search(tmp_path, cache, resume_from=[gone])

    def test_only_the_two_newest_states_stay_on_disk(self, uninterrupted: tuple[SearchResult, Recorder]) -> None:
        _, recorder = uninterrupted
        assert len(recorder.states) > 4
        assert [state.path.exists() for state in recorder.states[-3:]] == [False, True, True]


class TestOptions:
    @pytest.mark.long
    def test_weights_can_be_inherited(self, tmp_path: Path, cache: Path) -> None:
        inherited = search(tmp_path / "a", cache, train={**QUICK["train"], "epochs": 1, "weights": "inherit"})
        retrained = search(tmp_path / "b", cache, train={**QUICK["train"], "epochs": 1})
        assert inherited.architecture.arch_id == retrained.architecture.arch_id
        assert inherited.test_correct > retrained.test_correct  # after one epoch, a head start shows

    @pytest.mark.long
    def test_the_papers_own_gate_lands_on_the_budget_too(self, tmp_path: Path, cache: Path) -> None:
        result = search(tmp_path, cache, algorithm="autonl-paper")
        assert 0.97 * 400_000 <= result.architecture.macs <= 400_000

    @pytest.mark.long
    def test_a_resolution_of_ones_own(self, tmp_path: Path, cache: Path) -> None:
        result = search(tmp_path, cache, resolution=11, flops_budget=700_000)
        assert result.architecture.arch["resolution"] == 11
        assert result.architecture.macs <= 700_000

    def test_an_infeasible_budget_is_refused_before_any_work(self, tmp_path: Path, cache: Path) -> None:
        with pytest.raises(BudgetError, match="below the smallest"):
            search(tmp_path, cache, flops_budget=1000)

    @pytest.mark.long
    def test_a_training_that_explodes_says_what_to_change(self, tmp_path: Path, cache: Path) -> None:
        with pytest.raises(Diverged, match="lower"):
            search(tmp_path, cache, train={"epochs": 30, "lr": 10.0, "weight_decay": 1.0, "momentum": 0.99})


class TestCommandLine:
    """`tests/test_added_files.py` runs a whole search by it."""

    def test_a_mistake_in_the_file_is_named(self, tmp_path: Path) -> None:
        config = tmp_path / "search.yaml"
        config.write_text("dataset: digits\nflops_budget: plenty\n")
        command = [sys.executable, "-m", "autonl_core", "search", "--config", str(config), "--out", str(tmp_path / "o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "flops_budget" in done.stderr
