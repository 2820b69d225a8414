"""A run state is read onto the device of its search; marks of single images stay where they are compared."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode  # tensors of a GPU that refuse those of the CPU, without one

from autonl_core.phases.candidates import Candidate
from autonl_core.phases.states import DerivingState, Finalist, LearnedGates, ScoringState, read_phase
from autonl_core.spec.comparison import Comparison

FIRST, SECOND = (0, 1), (1, 0)


def test_candidates_of_a_state_read_on_a_gpu_are_compared_with_those_scored_since() -> None:
    with FakeTensorMode():
        saved = ScoringState(LearnedGates({}, (0.5,)), (_candidate(FIRST, "cuda"),), torch.zeros(4, device="cuda"))
        read = read_phase(saved.to_state())
        assert isinstance(read, ScoringState)
        assert read.labels is not None
        assert read.labels.device.type == "cpu"
        (restored,) = read.scored
        assert restored.right is not None
        assert restored.predicted is not None
        assert restored.right.device.type == restored.predicted.device.type == "cpu"


def test_finalists_of_a_state_read_on_a_gpu_are_compared_with_those_trained_since() -> None:
    with FakeTensorMode():
        saved = DerivingState((_finalist(FIRST, "cuda"),), (_finalist(SECOND, "cuda"),), Comparison("", 0, {}, {}))
        read = read_phase(saved.to_state())
        assert isinstance(read, DerivingState)
        for one in (*read.finalists, *read.trained):
            assert one.right is not None
            assert one.right.device.type == "cpu"
        assert read.finalists[0].network["weight"].device.type == "cuda"


def test_a_state_of_a_version_that_kept_no_marks_is_read() -> None:
    saved = {"choice": [0, 1], "origin": "drawn", "loss": 1.0, "top1_pct": 50.0, "network": {}}
    assert Finalist.from_state(saved).right is None


def _candidate(choice: tuple[int, ...], device: str) -> Candidate:
    marks = torch.ones(4, device=device)
    return Candidate(choice, "uniform", 1.0, 50.0, right=marks.bool(), predicted=marks.long())


def _finalist(choice: tuple[int, ...], device: str) -> Finalist:
    weights = {"weight": torch.ones(2, device=device)}
    return Finalist(choice, "uniform", 1.0, 50.0, weights, right=torch.ones(4, device=device).bool())
