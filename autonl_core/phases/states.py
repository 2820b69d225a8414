"""What each phase needs to go on: typed between phases, plain dicts of tensors and numbers in a run state.

The keys are those of every earlier version, so run states that one of them saved are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from autonl_core.errors import CheckpointError
from autonl_core.phases.candidates import Candidate
from autonl_core.run.run_state import StateDict
from autonl_core.spec.comparison import Comparison, FinalistScore
from autonl_core.spec.pretrained_start import ResolutionTrial
from autonl_core.spec.result import BaselineResult
from autonl_core.supernet.option_costs import Choice
from autonl_core.training.evaluate import gap

Weights = Mapping[str, Tensor]
ModuleState = Mapping[str, Any]  # of an optimizer, an algorithm or a trainer, as its own `state_dict` makes it


@dataclass(frozen=True)
class AdaptingState:
    """A pretrained network in training (`trainer`), or trained (`teacher`), and the trials of resolutions so far.

    `trial` is the trainer of the trial that was interrupted; `teacher_val_top1_pct` is what the teacher scores.
    """

    trainer: ModuleState | None = None
    teacher: Weights | None = None
    trials: tuple[ResolutionTrial, ...] = ()
    trial: ModuleState | None = None
    teacher_val_top1_pct: float | None = None

    def to_state(self) -> StateDict:
        return {
            "phase": "adapting",
            "trainer": self.trainer,
            "teacher": self.teacher,
            "trials": [vars(trial) for trial in self.trials],
            "trial": self.trial,
            "teacher_val_top1_pct": self.teacher_val_top1_pct,
        }

    @staticmethod
    def from_state(state: StateDict) -> AdaptingState:
        return AdaptingState(
            trainer=state["trainer"],
            teacher=state["teacher"],
            trials=tuple(ResolutionTrial(**trial) for trial in state["trials"]),
            trial=state["trial"],
            teacher_val_top1_pct=state.get("teacher_val_top1_pct"),
        )


@dataclass(frozen=True)
class SearchingState:
    """A supernet in training; `position` is (epoch, step) of the next batch, `losses` are those of the epoch so far."""

    supernet: Weights
    optimizer: ModuleState
    learner: ModuleState
    position: tuple[int, int]
    losses: tuple[float, ...]
    lost_steps: int

    def to_state(self) -> StateDict:
        own = {**vars(self), "position": list(self.position), "losses": list(self.losses)}
        return {"phase": "searching", **own}

    @staticmethod
    def from_state(state: StateDict) -> SearchingState:
        epoch, step = state["position"]
        return SearchingState(
            supernet=state["supernet"],
            optimizer=state["optimizer"],
            learner=state["learner"],
            position=(epoch, step),
            losses=tuple(state["losses"]),
            lost_steps=state["lost_steps"],
        )


@dataclass(frozen=True)
class LearnedGates:
    """What searching hands to deriving: the trained supernet, and how likely each gate is open, (gates,)."""

    supernet: Weights
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class ScoringState:
    """Candidates that are being scored on the shared weights: what was learned, and what was measured by now.

    Which candidates follow is a function of these, so they are proposed again. `labels`: of the validation images.
    """

    learned: LearnedGates
    scored: tuple[Candidate, ...]
    labels: Tensor | None

    def to_state(self) -> StateDict:
        scored = [{**vars(one), "choice": list(one.choice)} for one in self.scored]
        return {"phase": "deriving", **vars(self.learned), "scored": scored, "labels": self.labels}

    @staticmethod
    def from_state(state: StateDict) -> ScoringState:
        return ScoringState(
            learned=LearnedGates(state["supernet"], tuple(state["probabilities"])),
            scored=tuple(Candidate(**_marked({**one, "choice": tuple(one["choice"])})) for one in state["scored"]),
            labels=_on_cpu(state["labels"]),
        )


@dataclass(frozen=True)
class Finalist:
    """A candidate in the final, with the weights it has by now and what they score on validation images.

    One that is not `feasible` needs more memory to train than there is.
    """

    choice: Choice
    origin: str
    loss: float
    top1_pct: float
    network: Weights
    feasible: bool = True
    right: Tensor | None = None  # (val images,), which it got right after its short training

    def score_beside(self, best: Finalist) -> FinalistScore:
        """What it scored, and how far `best` is ahead of it."""
        behind = None
        if self is not best and self.right is not None and best.right is not None:
            behind = gap(best.right, self.right)
        return FinalistScore(self.origin, self.loss, self.top1_pct, behind)

    def to_state(self) -> StateDict:
        unusual = {"feasible": self.feasible} if not self.feasible else {}
        own = {name: value for name, value in vars(self).items() if name != "feasible"}
        return {**own, "choice": list(self.choice), **unusual}

    @staticmethod
    def from_state(state: StateDict) -> Finalist:
        return Finalist(**_marked({**state, "choice": tuple(state["choice"])}))


@dataclass(frozen=True)
class DerivingState:
    """A final of successive halving: who is still in it, who had its turn in this round, and the turn under way."""

    finalists: tuple[Finalist, ...]
    trained: tuple[Finalist, ...]
    comparison: Comparison
    round: int = 0
    turn: ModuleState | None = None  # of the trainer of the finalist whose turn was interrupted

    def after_turn(self, finalist: Finalist) -> DerivingState:
        """The state once `finalist` was trained."""
        return replace(self, trained=(*self.trained, finalist), turn=None)

    def to_state(self) -> StateDict:
        turn = {} if self.turn is None else {"turn": self.turn}
        return {
            "phase": "deriving",
            "survivors": [finalist.to_state() for finalist in self.finalists],
            "trained": [finalist.to_state() for finalist in self.trained],
            "comparison": self.comparison.to_state(),
            "round": self.round,
            **turn,
        }

    @staticmethod
    def from_state(state: StateDict) -> DerivingState:
        return DerivingState(
            finalists=tuple(Finalist.from_state(finalist) for finalist in state["survivors"]),
            trained=tuple(Finalist.from_state(finalist) for finalist in state["trained"]),
            comparison=Comparison.from_json(state["comparison"]),
            round=state["round"],
            turn=state.get("turn"),
        )


@dataclass(frozen=True)
class TrainingState:
    """The chosen network: how it came to be chosen, the weights it had then, and its training as far as it is.

    `baselines` are those that were trained already, `baseline` the trainer of the one that was interrupted.
    """

    choice: Choice
    origin: str
    val_top1_pct: float
    comparison: Comparison
    inherited: Weights
    trainer: ModuleState | None = None
    baselines: tuple[BaselineResult, ...] = ()
    baseline: ModuleState | None = None

    def without_weights(self) -> TrainingState:
        """What is left to say of it once the network is trained."""
        return replace(self, inherited={}, trainer=None)

    def to_state(self) -> StateDict:
        state: StateDict = {
            "phase": "training",
            "choice": list(self.choice),
            "origin": self.origin,
            "val_top1_pct": self.val_top1_pct,
            "comparison": self.comparison.to_state(),
            "inherited": self.inherited,
        }
        if self.trainer is not None:
            state["trainer"] = self.trainer
        if self.baselines:
            state["baselines"] = [baseline.to_json() for baseline in self.baselines]
        if self.baseline is not None:
            state["baseline"] = self.baseline
        return state

    @staticmethod
    def from_state(state: StateDict) -> TrainingState:
        return TrainingState(
            choice=tuple(state["choice"]),
            origin=state["origin"],
            val_top1_pct=state["val_top1_pct"],
            comparison=Comparison.from_json(state["comparison"]),
            inherited=state["inherited"],
            trainer=state.get("trainer"),
            baselines=tuple(BaselineResult(**saved) for saved in state.get("baselines", ())),
            baseline=state.get("baseline"),
        )


def _marked(saved: StateDict) -> StateDict:
    """`saved` with what it says of single validation images on the CPU, where it was compared before it was saved."""
    return {**saved, **{name: _on_cpu(saved[name]) for name in ("right", "predicted") if name in saved}}


def _on_cpu(marks: Tensor | None) -> Tensor | None:
    return None if marks is None else marks.cpu()


SavedPhase = AdaptingState | SearchingState | ScoringState | DerivingState | TrainingState
_BY_PHASE: Mapping[str, type[SavedPhase]] = {
    "adapting": AdaptingState,
    "searching": SearchingState,
    "deriving": DerivingState,
    "training": TrainingState,
}


def read_phase(state: StateDict) -> SavedPhase:
    """The typed state of the phase in which a run state was saved.

    Raises:
        CheckpointError: it is of a phase that does not exist, or lacks what that phase needs.
    """
    phase = state["phase"]
    if phase not in _BY_PHASE:
        raise CheckpointError(f"the run state is of phase {phase!r}; known are {', '.join(_BY_PHASE)}")
    try:
        return (ScoringState if "scored" in state else _BY_PHASE[phase]).from_state(state)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the run state of phase {phase!r} is incomplete: {error!r}") from error
