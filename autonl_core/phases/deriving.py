"""The phase `deriving`: from what was learned to one architecture, by evaluation.

Slopes suggest which gates are worth opening; measured networks decide. Candidates within the budget are scored on the
shared weights with validation images, and the scores are fitted (`phases/scoring.py`). The best few then compete by
successive halving: each trains for a while on its own, and half of them go on after each round.

Two candidates that are independent of the search always take part, and one of them reaches the final if it has two
seats or more: `uniform`, the same small block everywhere, and `widest`, the network with the most parameters the budget
allows. Where networks begin at random weights, that one is the incumbent: it is trained unless another one is clearly
ahead of it. What random networks score is reported beside the winner.
"""

from __future__ import annotations

import math
from dataclasses import replace

from autonl_core.errors import Diverged, StepTooLarge
from autonl_core.nn.network import Network, to_channels_last
from autonl_core.phases.candidates import better_half, incumbent_of, sortable
from autonl_core.phases.scoring import report_infeasible, score_candidates
from autonl_core.phases.states import DerivingState, Finalist, LearnedGates, ScoringState, TrainingState
from autonl_core.phases.training import short_training
from autonl_core.run.epochs import run_epochs
from autonl_core.run.pace import training_work
from autonl_core.run.reporter import BestSoFar
from autonl_core.run.search_run import SearchRun
from autonl_core.spec import arch_string
from autonl_core.spec.event_kinds import EventKind
from autonl_core.training.evaluate import Marks, evaluate
from autonl_core.training.trainer import Trainer


def derive(run: SearchRun, learned: LearnedGates | ScoringState | DerivingState) -> TrainingState:
    """Choose the architecture, from the learned distribution or from where an earlier attempt was."""
    state = learned if isinstance(learned, DerivingState) else score_candidates(run, learned)
    while len(state.finalists) > 1:
        state = _FinalRound(run, state).run_to_end()
    winner = state.finalists[0]
    return TrainingState(
        choice=winner.choice,
        origin=winner.origin,
        val_top1_pct=winner.top1_pct,
        comparison=state.comparison,
        inherited=winner.network,
    )


class _FinalRound:
    """One round of the final: every finalist trains in its turn, and the better half goes on."""

    def __init__(self, run: SearchRun, state: DerivingState) -> None:
        self.run, self.state = run, state

    def run_to_end(self) -> DerivingState:
        with self.run.phase("deriving", best=self.best_so_far):
            for finalist in self.state.finalists[len(self.state.trained) :]:
                self._take_turn(finalist)
            state = self._halve()
            self.run.save(state)
        return state

    def best_so_far(self) -> BestSoFar:
        entrants = self.state.trained or self.state.finalists
        return BestSoFar(_network_of(self.run, min(entrants, key=lambda finalist: sortable(finalist.loss))))

    def _take_turn(self, finalist: Finalist) -> None:
        self.state = self.state.after_turn(self._train(finalist))
        if any(one.feasible for one in self.state.trained):  # else the next attempt, with more memory, tries all again
            self.run.save(self.state)

    def _train(self, finalist: Finalist) -> Finalist:
        """The finalist after a short training of its own, with its validation score."""
        run, state, number = self.run, self.state, len(self.state.trained) + 1
        epochs = run.config.supernet.finalist_epochs
        settings = short_training(run.config.train)
        network = _network_of(run, finalist)
        trainer = Trainer(network, run.fit, run.loader, settings, "finalist", epochs, run.parts, run.config.precision)
        if state.turn is not None:
            trainer.load_state_dict(dict(state.turn))

        def state_now() -> DerivingState:
            return replace(state, turn=trainer.state_dict())

        try:
            run_epochs(
                run, trainer, state_now, work_per_epoch=len(run.fit) * training_work(run.config, run.teacher_macs)
            )
        except StepTooLarge:
            report_infeasible(run, finalist.choice, finalist.origin)
            return replace(finalist, loss=math.inf, top1_pct=0.0, feasible=False)
        measured = evaluate(trainer.averaged(), run.loader.plain(run.val), marks := Marks(), run.ranks)
        run.reporter.add_work(run.plan.scoring_work)
        run.reporter.add_point(state.round, {f"finalist_{number}_val_top1_pct": measured.top1_pct})
        return replace(
            finalist,
            loss=measured.loss,
            top1_pct=measured.top1_pct,
            network=network.state_dict(),
            right=marks.right(),
        )

    def _halve(self) -> DerivingState:
        """Keep the better half, and the incumbent.

        Raises:
            Diverged: no finalist has a finite loss.
            StepTooLarge: memory does not suffice to train any of them.
        """
        run, state = self.run, self.state
        trained = sorted(state.trained, key=lambda finalist: (sortable(finalist.loss), finalist.choice))
        best = trained[0]
        if not math.isfinite(best.loss):
            if not best.feasible:
                raise StepTooLarge("memory runs out for every finalist, in however small parts of a batch")
            raise Diverged(f"no finalist has a finite loss; lower train.lr ({run.config.train.lr})")
        kept = better_half(trained, incumbent_of(run))
        ahead = kept[0]
        run.reporter.architecture(run.record_of(run.table.arch(ahead.choice), val_top1_pct=ahead.top1_pct))
        names = (arch_string.encode(run.table.arch(finalist.choice)) for finalist in trained)
        scores = (finalist.score_beside(best) for finalist in trained)
        comparison = state.comparison.with_round(dict(zip(names, scores, strict=True)))
        number = state.round + 1
        finalists_json = comparison.to_json()[f"final_round_{number}"]
        detail = {"round": number, "val_images": len(run.val), "finalists": finalists_json}
        run.reporter.event(EventKind.FINALISTS_HALVED, detail)
        return DerivingState(tuple(kept), (), comparison, number)


def _network_of(run: SearchRun, finalist: Finalist) -> Network:
    """The network of a finalist with the weights it has so far, on the search's device."""
    network = to_channels_last(Network(run.table.arch(finalist.choice), run.config.train.dropout)).to(run.device)
    network.load_state_dict(finalist.network)
    return network
