"""Candidates for the final: networks within the budget, drawn from the learned distribution or independent of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from autonl_core.errors import StepTooLarge
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.comparison import Comparison, Gap
from autonl_core.spec.config_sections import SupernetConfig
from autonl_core.spec.macs import block_params
from autonl_core.spec.search_space import Option
from autonl_core.spec.search_work import random_networks
from autonl_core.supernet.budget import Band, Floats, band_within, evenly, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.limited_sampler import sampler_within
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.utilities import best_within
from autonl_core.training.evaluate import gap

_SEATS_WITH_TWIN = 3
WITHOUT_LIGHT_NL = "without_light_nl"  # origin of the twin of a network with LightNL, its MACs spent otherwise
INDEPENDENT = ("uniform", "widest")  # origins of candidates that are independent of the search
# Standard errors by which a network has to be ahead of one that is independent of the search. On shared weights alone,
# the best of two dozen is two ahead by luck, and networks that learn fast are ahead for a while (docs/search.md).
_OF_INCUMBENT, _UNTRAINED = 2.0, 4.0


@dataclass(frozen=True)
class Candidate:
    """A network within the budget, where it came from, and what it scored on validation images."""

    choice: Choice
    origin: str
    loss: float = math.inf
    top1_pct: float = 0.0
    feasible: bool = True  # False: memory did not suffice to score it
    right: Tensor | None = field(default=None, compare=False, repr=False)  # (val images,), which it got right
    predicted: Tensor | None = field(default=None, compare=False, repr=False)  # (val images,), the class it names


def propose(
    table: GateTable,
    p: Floats,
    budget_macs: int,
    settings: SupernetConfig,
    rng: np.random.Generator,
    uniform: Choice | None = None,
) -> list[tuple[Choice, str]]:
    """Candidates within the budget and their origin: the best by slopes, those drawn, and those for comparison.

    Args:
        p: how likely gates are open, (gates,).
        uniform: the uniform slice of the network that the search started from; None: it started from none.
    """
    learned = best_within(table, p, budget_macs)
    band = reachable_band(table, budget_macs, learned)
    proposed = [(learned, "by_slopes")]
    proposed.append((uniform or project(table, _uniform_scores(table), *band).choice, "uniform"))
    proposed.append((project(table, _scores(table, _params), *band).choice, "widest"))
    options = table.option_probabilities(p)
    near = sampler_within(table, options, band.low, band.high)
    even = sampler_within(table, evenly(table), band.low, band.high)
    draws = [(near.draw(rng), "drawn") for _ in range(settings.candidates)]
    draws += [(even.draw(rng), "random") for _ in range(random_networks(settings))]
    return proposed + [(choice, origin) for choice, origin in draws if choice is not None]


def reachable_band(table: GateTable, budget_macs: int, known: Choice) -> Band:
    """The MACs that candidates should have; where the space is too coarse, from those of the network `known` on."""
    band = band_within(table, budget_macs)
    return band._replace(low=min(band.low, table.macs(known)))


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best validation loss first; equal ones in a fixed order. Infeasible ones are left out.

    Raises:
        StepTooLarge: none of them is feasible.
    """
    feasible = [candidate for candidate in candidates if candidate.feasible]
    if not feasible:
        raise StepTooLarge("memory does not suffice to score any candidate; lower supernet.batch_size")
    return sorted(feasible, key=lambda candidate: (sortable(candidate.loss), candidate.choice))


def incumbent_of(run: SearchRun) -> str | None:
    """The origin of the network that is trained unless another one is clearly ahead of it; None: there is none.

    Shared weights and short trainings favour networks that learn fast. Of those that begin at random weights, the one
    with the most parameters gains the most from then on (docs/search.md, "The incumbent").
    """
    return "widest" if run.adapted is None and run.config.algorithm == "autonl" else None


def choose_finalists(
    ranking: list[Candidate],
    best: Candidate,
    count: int,
    twin: Candidate | None = None,
    incumbent: str | None = None,
) -> list[Candidate]:
    """`best`, and the best of `ranking` up to `count`; the last seat of several goes to one independent of the search.

    With one seat there is no final to decide: then one that is independent of the search keeps it, unless `best` is
    clearly ahead of it on the validation images.

    Args:
        ranking: best first.
        best: the one to be seated first: the best by all that is known.
        twin: the best without LightNL, which gets a seat if there are three or more.
        incumbent: the origin of the one that is independent of the search; None: the best of all that are.
    """
    first = [best] if twin is None or count < _SEATS_WITH_TWIN else [best, twin]
    others = [candidate for candidate in ranking if candidate.origin != "random" and candidate not in first]
    seated = [*first, *others][:count]
    origins = INDEPENDENT if incumbent is None else (incumbent,)
    independent = [candidate for candidate in ranking if candidate.origin in origins]
    if not independent or any(candidate in seated for candidate in independent):
        return seated
    if len(seated) > 1 or not _clearly_ahead(best.right, independent[0].right, _UNTRAINED):
        seated[-1] = independent[0]
    return seated


class Competitor(Protocol):
    """A candidate, or a finalist after its training."""

    @property
    def origin(self) -> str: ...
    @property
    def feasible(self) -> bool: ...
    @property
    def right(self) -> Tensor | None: ...


CompetitorT = TypeVar("CompetitorT", bound=Competitor)


def better_half(trained: Sequence[CompetitorT], incumbent: str | None) -> list[CompetitorT]:
    """The better half of `trained`, best first; the incumbent is among them unless the best is clearly ahead of it."""
    kept = list(trained[: len(trained) // 2])
    standing = next((one for one in trained if one.origin == incumbent and one.feasible), None)
    if standing is None or any(one is standing for one in kept):
        return kept
    return kept if _clearly_ahead(trained[0].right, standing.right, _OF_INCUMBENT) else [*kept[:-1], standing]


def _clearly_ahead(right: Tensor | None, other: Tensor | None, errors: float) -> bool:
    """Whether a network that is right on images `right` is ahead of the other by so many standard errors."""
    if right is None or other is None:
        return True
    ahead = gap(right, other)
    return ahead.points > errors * ahead.error_points


def compare(ranking: list[Candidate], first: Candidate, without_light_nl: Candidate | None) -> Comparison:
    """Validation top-1 on the shared weights, at equal MACs, by origin, and how far `first` is ahead of the others.

    Args:
        without_light_nl: the best network without LightNL, if `first` has any.
    """
    by_origin: dict[str, list[float]] = {}
    for candidate in ranking:
        by_origin.setdefault(candidate.origin, []).append(round(candidate.top1_pct, 2))
    return Comparison(
        measure="val_top1_pct on shared weights",
        candidates=len(ranking),
        mean={origin: round(float(np.mean(values)), 2) for origin, values in by_origin.items()},
        best={origin: max(values) for origin, values in by_origin.items()},
        ahead_of=_gaps(first, ranking, without_light_nl),
    )


def _gaps(first: Candidate, ranking: list[Candidate], without_light_nl: Candidate | None) -> dict[str, Gap]:
    rivals: dict[str, list[Tensor]] = {
        origin: [one.right for one in ranking if one.origin == origin and one != first and one.right is not None]
        for origin in ("random", *INDEPENDENT)
    }
    if without_light_nl is not None and without_light_nl.right is not None:
        rivals[WITHOUT_LIGHT_NL] = [without_light_nl.right]
    if first.right is None:
        return {}
    means = {origin: torch.stack(rights).double().mean(dim=0) for origin, rights in rivals.items() if rights}
    return {origin: gap(first.right, mean) for origin, mean in means.items()}


def sortable(loss: float) -> float:
    """A loss that is not a number ranks last."""
    return loss if math.isfinite(loss) else math.inf


def _scores(table: GateTable, value: Callable[[Option], float]) -> list[Floats]:
    return [np.array([value(option) for option in options]) for options in table.options]


def _params(option: Option) -> float:
    return 0.0 if option is None else float(block_params(option))


def _uniform_scores(table: GateTable) -> list[Floats]:
    """One block everywhere (3x3, large expansion, no LightNL), as MobileNetV2 has it; LightNL is the last resort."""

    def likeness(option: Option) -> float:
        if option is None:
            return -1.0
        return -float(option.kernel_size != 3) - float(option.expand_ratio == 3) - 2.0 * (option.light_nl is not None)

    rng = random.Random(0)  # which layers deviate is arbitrary, but always the same
    return [scores + np.array([0.01 * rng.random() for _ in scores]) for scores in _scores(table, likeness)]
