"""The first half of `deriving`: candidates are scored on the shared weights; scores show what options are worth.

Scores on shared weights are noisy, and the best of many is the luckiest. So the choice is not made among the scores:
the utilities of options are fitted to all of them, the knapsack finds the best network by those, and each round scores
networks that are the best in one case that the scores leave possible. What the supernet's slopes say counts as far as
the scores confirm it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from autonl_core.data.batches import random_stream
from autonl_core.errors import is_out_of_memory
from autonl_core.phases.candidates import (
    WITHOUT_LIGHT_NL,
    Candidate,
    choose_finalists,
    compare,
    incumbent_of,
    propose,
    ranked,
    reachable_band,
)
from autonl_core.phases.searching import score_choice
from autonl_core.phases.states import DerivingState, Finalist, LearnedGates, ScoringState
from autonl_core.run.reporter import BestSoFar
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.comparison import Comparison
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.measured_network import MeasuredNetwork
from autonl_core.supernet.budget import Band, project
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.significance import chance_of
from autonl_core.supernet.start import started_supernet
from autonl_core.supernet.supernet import Supernet
from autonl_core.supernet.uniform import uniform_slice
from autonl_core.supernet.utilities import (
    Utilities,
    fit_utilities,
    gate_features,
    promising,
    worth_of_gates,
    worth_of_scored,
)
from autonl_core.training.evaluate import Marks

_ENOUGH = 12  # networks, for a statement about all of them
_NEVER = -1e6  # worth of an option that is ruled out: far below what any loss can be


def score_candidates(run: SearchRun, begun: LearnedGates | ScoringState) -> DerivingState:
    """Score candidates on the shared weights, and seat the finalists; go on from where an earlier attempt was."""
    scoring = _Scoring(run, begun if isinstance(begun, ScoringState) else ScoringState(begun, (), None))
    with run.phase("deriving", best=scoring.best_so_far, learning=False):
        scoring.score_proposed()
        for generation in range(run.config.supernet.generations):
            scoring.score_promising(generation)
        state = scoring.final()
        run.save(state)
    return state


class _Scoring:
    """Candidates as they are scored on the shared weights, each choice once."""

    def __init__(self, run: SearchRun, begun: ScoringState) -> None:
        self.run, self.settings = run, run.config.supernet
        self.learned = begun.learned
        self.probabilities = np.array(begun.learned.probabilities)
        self.features = gate_features(run.table)
        self.supernet = Supernet(run.table, seed=run.config.seed).to(run.device)
        self.supernet.load_state_dict(begun.learned.supernet)
        self.scored: dict[Choice, Candidate] = {}
        self.labels = begun.labels  # (val images,), once a candidate is scored
        self._known = {one.choice: one for one in begun.scored}  # by an earlier attempt
        self._unscored = run.plan.candidates - len(self._known)  # networks that are planned for

    def best_so_far(self) -> BestSoFar | None:
        if not self.scored:
            return None
        return BestSoFar(self.supernet.derive(ranked(self.scored.values())[0].choice))

    def score_proposed(self) -> None:
        run = self.run
        rng = random_stream("candidates", run.config.seed, 0)
        budget_macs = run.config.flops_budget
        uniform = None if run.adapted is None else uniform_slice(run.table, run.adapted.beginning, budget_macs)
        for choice, origin in propose(run.table, self.probabilities, budget_macs, self.settings, rng, uniform):
            self._score(choice, origin)

    def score_promising(self, generation: int) -> None:
        """Score networks that may well be the best, as far as the scores show."""
        rng, known = random_stream("candidates", self.run.config.seed, 1 + generation), self.utilities()
        for _ in range(self.settings.candidates // 2):
            choice = promising(known, self.run.table, self._band, rng, self.scored)
            if choice is not None:
                self._score(choice, "by_scores")

    def utilities(self) -> Utilities:
        """What options are worth, by all scores."""
        scored = ranked(self.scored.values())
        choices, losses = [one.choice for one in scored], [one.loss for one in scored]
        return fit_utilities(self.features, choices, losses, [worth_of_gates(self.probabilities)])

    def final(self) -> DerivingState:
        """The finalists, with their share of the supernet's weights."""
        self._score(project(self.run.table, self.utilities().scores(), *self._band).choice, "by_scores")
        known = self.utilities()
        first = self._possible(self._ranked_by(known))[0]
        twin = self._without_light_nl(first, known)
        ranking = self._ranked_by(known)
        comparison = self._compared(ranking, first, twin)
        seats = 1 if comparison.freed_epochs else self.settings.finalists
        seated = choose_finalists(self._possible(ranking), first, seats, twin, incumbent_of(self.run))
        if len(seated) == 1:  # nothing to compare: no training, no halving
            detail = {"chance": comparison.chance, "freed_epochs": comparison.freed_epochs}
            self.run.reporter.event(EventKind.DERIVED_WITHOUT_FINAL, {"origin": seated[0].origin, **detail})
        finalists = self._with_weights(seated)
        self._count(self._unscored)  # fewer were needed, for some were proposed twice
        self.run.reporter.event(
            EventKind.CANDIDATES_SCORED,
            {"count": len(ranking), "val_images": len(self.run.val), **comparison.to_json()},
        )
        return DerivingState(finalists, (), comparison)

    def _possible(self, ranking: list[Candidate]) -> list[Candidate]:
        """Which may be the result: random networks are for comparison, drawn ones may leave much of a limit unused."""
        proposed = [one for one in ranking if one.origin != "random"]
        filling = [one for one in proposed if not self._band.fills or self.run.table.fills(one.choice)]
        return filling or proposed

    def _with_weights(self, seated: list[Candidate]) -> tuple[Finalist, ...]:
        """The finalists with their share of the supernet's weights, or of those that it began with if these are better.

        The weights of a teacher suit what is hardly cut; sharing, which serves all networks, may spoil them.
        """
        run, adapted = self.run, self.run.adapted
        before = None
        if adapted is not None:
            before = started_supernet(run.table, adapted.beginning, run.config.seed).to(run.device)
        finalists = []
        for one in seated:
            loss, top1_pct, weights = one.loss, one.top1_pct, self.supernet
            if before is not None and (own := score_choice(run, before, one.choice)).loss < loss:
                detail = {"origin": one.origin, "loss": own.loss, "shared_loss": loss, "val_images": len(run.val)}
                run.reporter.event(EventKind.TEACHER_WEIGHTS_KEPT, detail)
                loss, top1_pct, weights = own.loss, own.top1_pct, before
            network = weights.derive(one.choice).state_dict()
            finalists.append(Finalist(one.choice, one.origin, loss, top1_pct, network))
        return tuple(finalists)

    def _compared(self, ranking: list[Candidate], first: Candidate, twin: Candidate | None) -> Comparison:
        """What the scores say, and whether they say anything: if not, a final has nothing to choose between."""
        table, plan = self.run.table, self.run.plan
        networks = (MeasuredNetwork.of(table.arch(one.choice), one.origin, one.top1_pct) for one in ranking)
        comparison = replace(compare(ranking, first, twin), networks=tuple(networks), chance=self._chance(ranking))
        freed_epochs = plan.without_final().freed_epochs if comparison.options_matter is False else 0
        return replace(comparison, freed_epochs=freed_epochs)

    def _chance(self, scored: list[Candidate]) -> float | None:
        """How likely it is by chance that options explain the accuracies as well as they do; None: too few networks."""
        predictions = [one.predicted for one in scored if one.predicted is not None]
        if self.labels is None or not len(scored) == len(predictions) >= _ENOUGH:
            return None
        predicted, rng = torch.stack(predictions).numpy(), random_stream("significance", self.run.config.seed, 0)
        return chance_of(self.features, [one.choice for one in scored], predicted, self.labels.numpy(), rng)

    def _ranked_by(self, known: Utilities) -> list[Candidate]:
        """Feasible candidates, the best by all scores first."""
        scored = ranked(self.scored.values())
        worth = worth_of_scored(known, [one.choice for one in scored], [one.loss for one in scored])
        return [scored[place] for place in np.argsort(-worth, kind="stable")]

    def _without_light_nl(self, first: Candidate, known: Utilities) -> Candidate | None:
        """The best network without LightNL by all that is known; None if `first` has none, or none is feasible."""
        options = self.run.table.options
        has = [np.array([option is not None and option.light_nl is not None for option in row]) for row in options]
        if not any(at[option] for at, option in zip(has, first.choice, strict=True)):
            return None
        scores = [np.where(at, _NEVER, values) for at, values in zip(has, known.scores(), strict=True)]
        choice = project(self.run.table, scores, *self._band).choice
        if any(at[option] for at, option in zip(has, choice, strict=True)):
            return None
        self._score(choice, WITHOUT_LIGHT_NL)
        twin = self.scored[choice]
        return twin if twin.feasible else None

    @property
    def _band(self) -> Band:
        return reachable_band(self.run.table, self.run.config.flops_budget, next(iter(self.scored)))

    def _score(self, choice: Choice, origin: str) -> None:
        if choice in self.scored:
            return
        if choice in self._known:
            self.scored[choice] = self._known[choice]
            return
        self.scored[choice] = self._measure(Candidate(choice, origin))
        self._count(1)
        self.run.reporter.progress(step=len(self.scored))
        self.run.after_step(self._state)

    def _state(self) -> ScoringState:
        """The next attempt, perhaps with more memory, tries infeasible ones again."""
        scored = tuple(one for one in self.scored.values() if one.feasible)
        return ScoringState(self.learned, scored, self.labels)

    def _count(self, networks: int) -> None:
        """Count so many networks as scored, of those that are planned for."""
        self._unscored -= networks
        self.run.reporter.add_work(networks * self.run.plan.scoring_work)

    def _measure(self, candidate: Candidate) -> Candidate:
        """Its score on the shared weights. A candidate that memory does not suffice for is infeasible."""
        try:
            measured = score_choice(self.run, self.supernet, candidate.choice, marks := Marks())
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            report_infeasible(self.run, candidate.choice, candidate.origin)
            return replace(candidate, feasible=False)
        self.labels = marks.labels()
        score = replace(candidate, loss=measured.loss, top1_pct=measured.top1_pct)
        return replace(score, right=marks.right(), predicted=marks.predicted())


def report_infeasible(run: SearchRun, choice: Choice, origin: str) -> None:
    """Memory does not suffice for this candidate; with more of it, another one might win."""
    run.reporter.lose_exactness()
    arch_id = run.table.arch(choice).arch_id
    run.reporter.event(EventKind.CANDIDATE_OUT_OF_MEMORY, {"arch_id": arch_id, "origin": origin})
