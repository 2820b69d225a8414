"""What the chosen network is compared with: published networks, and rivals that come from its pretrained weights.

A published network is scaled to the same MACs, and trained with the same recipe, data, epochs and seed as the chosen
one. A *rival* is what could be had without a search, for the compute that the search took: the whole pretrained
network fine-tuned at the resolution that the budget allows, or the teacher with every block cut alike.

They come after the chosen network, so that a search that is stopped has its result first, and are scored once on the
test split. One that diverges or needs more memory than there is has no score, and the search goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autonl_core.data.batches import BatchSource
from autonl_core.errors import Diverged, StepTooLarge
from autonl_core.nn.network import Network, build_network, to_channels_last
from autonl_core.phases.adapting import fine_tuning, uniform_network
from autonl_core.phases.states import TrainingState
from autonl_core.phases.training import train_to_the_end
from autonl_core.run.pretrained import Pretrained, at_resolution
from autonl_core.run.search_run import SearchRun
from autonl_core.spec import arch_string
from autonl_core.spec.config import OFF_THE_SHELF, UNIFORM, Baseline
from autonl_core.spec.config_sections import TrainConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.feasibility import scale_baseline
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.result import BaselineResult
from autonl_core.training.begin_fine_tuning import begin_fine_tuning
from autonl_core.training.evaluate import evaluate
from autonl_core.training.trainer import Trainer


@dataclass(frozen=True)
class Entrant:
    """A baseline before its training. Without a `loader` it is not within the budget, and not trained."""

    network: Network
    recipe: TrainConfig
    loader: BatchSource | None


def train_baselines(run: SearchRun, state: TrainingState) -> tuple[BaselineResult, ...]:
    """Train and score every baseline of the configuration that `state` does not hold yet."""
    if len(state.baselines) == len(run.config.baselines):
        return state.baselines
    run.reporter.pace.work = run.plan.by_phase  # it was planned for the resolution that seemed the best
    with run.phase("training"):
        for index in range(len(state.baselines), len(run.config.baselines)):
            result = _take_turn(run, index, state)
            run.reporter.event(EventKind.BASELINE_TRAINED, result.to_json())
            state = replace(state, baselines=(*state.baselines, result), baseline=None)
            run.save(state)
    return state.baselines


def _take_turn(run: SearchRun, index: int, state: TrainingState) -> BaselineResult:
    """Train one baseline to its end, from where `state` left it, and score it."""
    name, plan = run.config.baselines[index], run.plan
    entrant, planned = _enter(run, name, fresh=state.baseline is None), plan.baseline(name)
    result = _unscored(run, name, entrant)
    if entrant.loader is None:
        return result
    images = entrant.loader.data.train
    trainer = Trainer(
        entrant.network,
        images,
        entrant.loader,
        entrant.recipe,
        "train",
        planned.epochs,
        run.parts,
        run.config.precision,
    )
    if state.baseline is not None:
        trainer.load_state_dict(dict(state.baseline))
    epochs_left = planned.epochs - trainer.position[0] - trainer.position[1] / trainer.steps
    done_at_end = run.reporter.pace.done + planned.work_per_image * len(images) * epochs_left

    def state_now() -> TrainingState:
        return replace(state, baseline=trainer.state_dict())

    try:
        train_to_the_end(
            run,
            trainer,
            state_now,
            delivered=run.table.arch(state.choice),
            work_per_image=planned.work_per_image,
            name=name,
        )
    except (Diverged, StepTooLarge) as error:
        run.reporter.add_work(done_at_end - run.reporter.pace.done)  # nothing of it is left to do
        return replace(result, problem=str(error))
    return _scored(run, result, trainer)


def _scored(run: SearchRun, result: BaselineResult, trainer: Trainer) -> BaselineResult:
    """`result` with what the trained network scores on the test split."""
    loader = trainer.loader
    measured = evaluate(trainer.averaged(), run.watched(loader.plain(loader.data.test)), ranks=run.ranks)
    if not math.isfinite(measured.loss):
        return replace(result, problem=f"the trained network computes {measured.loss}")
    return replace(result, test_correct=measured.correct, test_top1_pct=measured.top1_pct)


def _unscored(run: SearchRun, name: Baseline, entrant: Entrant) -> BaselineResult:
    """What is known of a baseline before its training: all but its score, or why it is not trained."""
    arch = entrant.network.arch
    macs = count_macs(arch).total
    result = BaselineResult(
        name, arch_string.encode(arch), macs, count_params(arch), None, None, resolution=arch.resolution
    )
    if entrant.loader is None:
        limit = run.config.flops_budget
        problem = f"even at {arch.resolution} pixels it takes {macs:,} MACs, and the budget is {limit:,}"
        return replace(result, problem=problem, epochs=0, work_share=0.0)
    plan = run.plan
    return replace(result, epochs=plan.baseline(name).epochs, work_share=round(plan.share_of(name), 4))


def _enter(run: SearchRun, name: Baseline, *, fresh: bool) -> Entrant:
    """The baseline before its training, on the search's device; unless `fresh`, a state has its weights."""
    settings = run.config.train
    if name == OFF_THE_SHELF:
        assert run.pretrained is not None
        return _off_the_shelf(run, run.pretrained, fresh=fresh)
    if name == UNIFORM:
        sliced, _ = uniform_network(run)
        network = build_network(sliced.arch, dropout=settings.dropout)
        network.load_state_dict(sliced.state_dict())
        return Entrant(to_channels_last(network).to(run.device), settings, run.loader)
    arch = scale_baseline(name, run.table.space, run.config.flops_budget)
    network = build_network(arch, seed=run.config.seed, dropout=settings.dropout)
    return Entrant(network.to(run.device), settings, run.loader)


def _off_the_shelf(run: SearchRun, pretrained: Pretrained, *, fresh: bool) -> Entrant:
    """The whole pretrained network, to be fine-tuned as the teacher was, without its answers."""
    whole = pretrained.off_the_shelf
    assert whole is not None
    network = at_resolution(pretrained.network(), whole.arch.resolution)
    network = to_channels_last(network).to(run.device)
    if fresh and whole.loader is not None:
        begin_fine_tuning(network, whole.loader, whole.loader.data.train)
    return Entrant(network, fine_tuning(run.config.teacher), whole.loader)
