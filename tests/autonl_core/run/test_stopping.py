"""Searches that are told to stop, and searches that run out of memory: what they keep, and how they go on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autonl_core.errors import Interrupted, StepTooLarge
from autonl_core.files import sha256_of
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.nn.network import Network
from autonl_core.phases.searching import score_choice
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import Phase, StopRequest
from autonl_core.spec.result import SearchResult
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.evaluate import Marks, Score
from autonl_core.training.micro_batches import split
from tests.autonl_core.digit_archives import FEW_DIGITS_ZIP
from tests.autonl_core.small_searches import SHORT_TRAINING, Recorder, search


def program(path: Path, line: str) -> str:
    """A shell program of one line."""
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


class TestStop:
    """A user who pauses or cancels keeps the best so far; a worker that only stops has no time to make it."""

    @pytest.mark.parametrize(
        ("stop_at", "request_name"),
        [
            (5, "pause"),
            pytest.param(25, "cancel", marks=pytest.mark.long),
            pytest.param(42, "pause", marks=pytest.mark.long),
            (70, "cancel"),
        ],
    )  # while searching, while candidates are scored, in a finalist's turn, in training
    def test_the_best_so_far_is_a_usable_checkpoint_within_the_budget(
        self, stop_at: int, request_name: StopRequest, tmp_path: Path, cache: Path
    ) -> None:
        stopped = Recorder(stop_at, request_name)
        with pytest.raises(Interrupted, match=request_name):
            search(tmp_path, cache, recorder=stopped)
        ((record, checkpoint),) = stopped.kept
        loaded = load_checkpoint(checkpoint)
        assert loaded.arch.arch_id == record.arch_id
        assert count_macs(loaded.arch).total == record.macs <= 400_000
        assert record.val_top1_pct is not None
        assert not record.trained

    @pytest.mark.parametrize("phase", [pytest.param("evaluating", marks=pytest.mark.long), "exporting"])
    def test_even_at_the_very_end(
        self, phase: Phase, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        stopped = Recorder(1, "pause", phase)
        with pytest.raises(Interrupted, match="pause"):
            search(tmp_path / "1", cache, recorder=stopped)
        ((record, checkpoint),) = stopped.kept
        assert load_checkpoint(checkpoint).arch.arch_id == record.arch_id == uninterrupted[0].architecture.arch_id
        resumed = search(tmp_path / "2", cache, resume_from=stopped.states)
        assert resumed.weights_sha256 == uninterrupted[0].weights_sha256

    @pytest.mark.long
    def test_while_a_bundle_is_made_nothing_is_compared_any_more(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That would take as long as 4,000 images through the network: minutes at 224 pixels."""

        def compare(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr("autonl_core.phases.training._better", compare)
        recorder = Recorder(1, "cancel", "exporting")
        with pytest.raises(Interrupted, match="cancel"):
            search(tmp_path, cache, recorder=recorder, train=SHORT_TRAINING)
        ((_, checkpoint),) = recorder.kept
        assert load_checkpoint(checkpoint).network.arch.arch_id == recorder.best[-1].arch_id

    def test_while_images_are_decoded_there_is_nothing_to_keep(self, tmp_path: Path) -> None:
        stopped = Recorder(1, "cancel", "preparing")
        with pytest.raises(Interrupted, match="cancel"):
            search(tmp_path / "1", tmp_path / "cache", recorder=stopped)
        assert (stopped.kept, stopped.states) == ([], [])
        assert not list((tmp_path / "cache").rglob("images.npy"))

    @pytest.mark.long
    def test_what_is_kept_has_learned_what_the_search_had(self, tmp_path: Path, cache: Path) -> None:
        late = Recorder(28, "pause", "training")  # of 30 steps
        with pytest.raises(Interrupted):
            search(tmp_path, cache, recorder=late)
        command = [sys.executable, "-m", "autonl_core", "evaluate", "--checkpoint", str(late.kept[0][1]), "--json"]
        scored = subprocess.run(
            [*command, "--dataset", str(FEW_DIGITS_ZIP)], check=True, capture_output=True, text=True
        )
        assert json.loads(scored.stdout)["top1_pct"] > 30  # of ten classes

    @pytest.mark.long
    def test_a_pause_costs_nothing_but_time(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path
    ) -> None:
        paused = Recorder(22, "pause")
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=paused)
        resumed = search(tmp_path / "2", cache, resume_from=paused.states)
        assert resumed.weights_sha256 == uninterrupted[0].weights_sha256

    @pytest.mark.long
    def test_on_another_number_of_threads_it_goes_on_and_says_that_it_is_not_exact(
        self, tmp_path: Path, cache: Path
    ) -> None:
        paused = Recorder(22)
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=paused, train=SHORT_TRAINING)
        threads = torch.get_num_threads()
        torch.set_num_threads(threads + 1)
        try:
            resumed = Recorder()
            result = search(tmp_path / "2", cache, recorder=resumed, resume_from=paused.states, train=SHORT_TRAINING)
        finally:
            torch.set_num_threads(threads)
        assert not result.exact
        kind, detail = resumed.events[0]
        assert kind == "inexact_resume"
        assert (detail["before"]["threads"], detail["now"]["threads"]) == (threads, threads + 1)

    def test_what_cannot_be_kept_does_not_keep_it_from_stopping(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run_out(run: SearchRun, network: Network) -> float:
            raise MemoryError("no room for a second network")

        monkeypatch.setattr(SearchRun, "recalibrated_top1_pct", run_out)
        paused = Recorder(2, "pause", "training")
        with pytest.raises(Interrupted):
            search(tmp_path, cache, recorder=paused)
        assert paused.kept == []
        assert paused.events[-1] == ("best_not_kept", {"problem": "no room for a second network"})

    @pytest.mark.long
    def test_a_verification_under_way_is_not_waited_for(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = tmp_path / "begun"

        class Waiting(Recorder):
            def stop_requested(self) -> StopRequest | None:
                return "cancel" if begun.exists() else None

        monkeypatch.setattr(sys, "executable", program(tmp_path / "sleeps", f"touch {begun}; exec sleep 100"))
        began = time.monotonic()
        with pytest.raises(Interrupted):
            search(tmp_path, cache, recorder=Waiting(), bundle=True)
        assert time.monotonic() - began < 60

    @pytest.mark.long
    def test_a_run_state_of_an_earlier_version_is_gone_on_with(self, tmp_path: Path, cache: Path) -> None:
        drained = Recorder(22)
        with pytest.raises(Interrupted):
            search(tmp_path / "1", cache, recorder=drained, train=SHORT_TRAINING)
        newest = drained.states[-1]
        state = torch.load(newest.path, weights_only=True)
        del state["micro_batches"], state["environment"]["code"], state["config"]["export"]
        torch.save(state, newest.path)
        older = replace(newest, sha256=sha256_of(newest.path))
        result = search(tmp_path / "2", cache, resume_from=[older], train=SHORT_TRAINING)
        assert not result.exact  # other code may compute something else

    def test_a_drain_only_saves(self, tmp_path: Path, cache: Path) -> None:
        drained = Recorder(22, "drain")
        with pytest.raises(Interrupted):
            search(tmp_path, cache, recorder=drained)
        assert drained.kept == []
        assert drained.states


class TestMemory:
    @pytest.mark.long
    def test_a_batch_that_does_not_fit_is_computed_in_parts_and_the_result_says_so(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def split_or_run_out(x: torch.Tensor, labels: torch.Tensor, parts: int) -> object:
            if parts < 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return split(x, labels, parts)

        monkeypatch.setattr("autonl_core.training.trainer.split", split_or_run_out)
        recorder = Recorder()
        result = search(tmp_path, cache, recorder=recorder)
        assert ("micro_batches", {"parts": 2}) in recorder.events
        assert not result.exact
        assert result.architecture.test_top1_pct is not None
        assert result.architecture.test_top1_pct > 30  # of ten classes

    @pytest.mark.long
    def test_when_no_finalist_fits_the_next_attempt_tries_them_all_again(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        def run_out(x: torch.Tensor, labels: torch.Tensor, parts: int) -> object:
            raise torch.OutOfMemoryError("CUDA out of memory")

        recorder = Recorder()
        with monkeypatch.context() as short:
            short.setattr("autonl_core.training.trainer.split", run_out)
            with pytest.raises(StepTooLarge, match="every finalist"):
                search(tmp_path / "1", cache, recorder=recorder)
        result = search(tmp_path / "2", cache, resume_from=recorder.states)
        assert result.architecture.arch_id == uninterrupted[0].architecture.arch_id

    @pytest.mark.long
    def test_a_verifier_that_is_killed_is_a_crash_and_no_verdict(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", program(tmp_path / "dies", "kill -9 $$"))
        with pytest.raises(RuntimeError, match="failed with exit code -9"):
            search(tmp_path, cache, bundle=True)

    @pytest.mark.long
    def test_a_candidate_that_does_not_fit_is_out_and_the_search_goes_on(
        self, uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        winner = uninterrupted[0].architecture.arch_id

        def score_or_run_out(run: SearchRun, supernet: Supernet, choice: Choice, marks: Marks | None = None) -> Score:
            if run.table.arch(choice).arch_id == winner:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return score_choice(run, supernet, choice, marks)

        monkeypatch.setattr("autonl_core.phases.scoring.score_choice", score_or_run_out)
        recorder = Recorder()
        result = search(tmp_path, cache, recorder=recorder, train=SHORT_TRAINING)
        assert [detail["arch_id"] for kind, detail in recorder.events if kind == "candidate_out_of_memory"] == [winner]
        assert result.architecture.arch_id != winner
        assert not result.exact  # with more memory it would have been another one

    @pytest.mark.long
    def test_parts_from_the_start_are_not_exact_either(self, tmp_path: Path, cache: Path) -> None:
        assert not search(tmp_path, cache, micro_batches=4).exact
