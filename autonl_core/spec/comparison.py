"""How candidates at equal MACs compare: those of the search, and those that are independent of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

_ROUND = "final_round_"


@dataclass(frozen=True)
class FinalistScore:
    """What one finalist scored on validation images after its short training."""

    origin: str
    val_loss: float
    val_top1_pct: float


@dataclass(frozen=True)
class Comparison:
    """Scores by origin of the candidates, then those of every round of the final.

    `mean` and `best` are top-1 in percent, by `measure`; `candidates` counts them all.
    """

    measure: str
    candidates: int
    mean: Mapping[str, float]
    best: Mapping[str, float]
    rounds: tuple[tuple[FinalistScore, ...], ...] = ()

    def with_round(self, scores: tuple[FinalistScore, ...]) -> Comparison:
        """The same after one more round of the final."""
        return replace(self, rounds=(*self.rounds, scores))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; round N is `final_round_N`."""
        data: dict[str, Any] = {
            "measure": self.measure,
            "candidates": self.candidates,
            "mean": dict(self.mean),
            "best": dict(self.best),
        }
        for number, scores in enumerate(self.rounds, start=1):
            data[f"{_ROUND}{number}"] = [asdict(score) for score in scores]
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Comparison:
        """What `to_json` made."""
        count = sum(key.startswith(_ROUND) for key in data)
        rounds = (data[f"{_ROUND}{number}"] for number in range(1, count + 1))
        return Comparison(
            measure=data["measure"],
            candidates=data["candidates"],
            mean=dict(data["mean"]),
            best=dict(data["best"]),
            rounds=tuple(tuple(FinalistScore(**score) for score in scores) for scores in rounds),
        )
