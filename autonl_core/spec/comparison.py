"""How candidates at equal MACs compare: those of the search, and those that are independent of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from autonl_core.spec.measured_network import MeasuredNetwork

_ROUND = "final_round_"
_SIGNIFICANT = 0.05  # below this share of chance, options matter


@dataclass(frozen=True)
class Gap:
    """How many points of top-1 one network is ahead of another on the same images, and the standard error of that."""

    points: float
    error_points: float


@dataclass(frozen=True)
class FinalistScore:
    """What one finalist scored on validation images after its short training, and how far the round's best is ahead."""

    origin: str
    val_loss: float
    val_top1_pct: float
    behind: Gap | None = None  # None: it is the best, or an earlier version scored it

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        return data if self.behind else {key: value for key, value in data.items() if key != "behind"}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FinalistScore:
        behind = {"behind": Gap(**data["behind"])} if data.get("behind") else {}
        return FinalistScore(**{**data, **behind})


@dataclass(frozen=True)
class Comparison:
    """Scores by origin of the candidates, then those of every round of the final.

    `mean` and `best` are top-1 in percent, by `measure`; `candidates` counts them all. `ahead_of`, by origin: how far
    the best network by all scores is ahead of the others, by the same measure. Of several random ones, the mean counts.
    `chance`: how often options would explain the accuracies as well if predictions had nothing to do with labels; None:
    too few networks, or an earlier version. `freed_epochs`: what a final would have taken that was not held, because
    options explain nothing; the chosen network trains so many epochs more. `networks`: the candidates one by one, the
    best by all scores first; earlier versions kept none.
    """

    measure: str
    candidates: int
    mean: Mapping[str, float]
    best: Mapping[str, float]
    ahead_of: Mapping[str, Gap] = field(default_factory=dict)
    rounds: tuple[tuple[FinalistScore, ...], ...] = ()
    networks: tuple[MeasuredNetwork, ...] = ()
    chance: float | None = None
    freed_epochs: int = 0

    @property
    def options_matter(self) -> bool | None:
        """Whether options explain the accuracies; None: not known."""
        return None if self.chance is None else self.chance < _SIGNIFICANT

    def with_round(self, scores: Mapping[str, FinalistScore]) -> Comparison:
        """The same after one more round of the final, in which the finalists, by arch string, had these scores."""
        networks = (
            replace(network, final_val_top1_pct=scores[network.arch_string].val_top1_pct)
            if network.arch_string in scores
            else network
            for network in self.networks
        )
        return replace(self, rounds=(*self.rounds, tuple(scores.values())), networks=tuple(networks))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON of all but the single networks, which are many; round N is `final_round_N`."""
        data: dict[str, Any] = {
            "measure": self.measure,
            "candidates": self.candidates,
            "mean": dict(self.mean),
            "best": dict(self.best),
            "ahead_of": {origin: asdict(gap) for origin, gap in self.ahead_of.items()},
            "chance": self.chance,
            "freed_epochs": self.freed_epochs,
        }
        for number, scores in enumerate(self.rounds, start=1):
            data[f"{_ROUND}{number}"] = [score.to_json() for score in scores]
        return data

    def to_state(self) -> dict[str, Any]:
        """The same with the networks, for a run state."""
        return {**self.to_json(), "networks": [network.to_json() for network in self.networks]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Comparison:
        """What `to_json` or `to_state` made."""
        count = sum(key.startswith(_ROUND) for key in data)
        rounds = (data[f"{_ROUND}{number}"] for number in range(1, count + 1))
        return Comparison(
            measure=data["measure"],
            candidates=data["candidates"],
            mean=dict(data["mean"]),
            best=dict(data["best"]),
            ahead_of={origin: Gap(**gap) for origin, gap in data.get("ahead_of", {}).items()},
            rounds=tuple(tuple(FinalistScore.from_json(score) for score in scores) for scores in rounds),
            networks=tuple(MeasuredNetwork.from_json(network) for network in data.get("networks", ())),
            chance=data.get("chance"),
            freed_epochs=data.get("freed_epochs", 0),
        )
