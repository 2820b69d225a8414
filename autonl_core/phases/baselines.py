"""Published networks at the same MACs, trained with the same recipe, data, epochs and seed as the chosen one.

They come after it, so that a search that is stopped has its result first, and are scored once on the test split. One
that diverges or needs more memory than there is has no score, and the search goes on: it is there to compare with.
"""

from __future__ import annotations

import math
from dataclasses import replace

from autonl_core.errors import Diverged, StepTooLarge
from autonl_core.nn.network import build_network
from autonl_core.phases.states import TrainingState
from autonl_core.phases.training import make_trainer, train_to_the_end
from autonl_core.run.pace import training_work
from autonl_core.run.search_run import SearchRun
from autonl_core.spec import arch_string
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.feasibility import scale_baseline
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.result import BaselineResult
from autonl_core.training.evaluate import evaluate


def train_baselines(run: SearchRun, state: TrainingState) -> tuple[BaselineResult, ...]:
    """Train and score every baseline of the configuration that `state` does not hold yet."""
    if len(state.baselines) == len(run.config.baselines):
        return state.baselines
    with run.phase("training"):
        for index in range(len(state.baselines), len(run.config.baselines)):
            result = _take_turn(run, index, state)
            run.reporter.event(EventKind.BASELINE_TRAINED, result.to_json())
            state = replace(state, baselines=(*state.baselines, result), baseline=None)
            run.save(state)
    return state.baselines


def _take_turn(run: SearchRun, index: int, state: TrainingState) -> BaselineResult:
    """Train one baseline to its end, from where `state` left it, and score it."""
    name, settings = run.config.baselines[index], run.config.train
    arch = scale_baseline(name, run.table.space, run.config.flops_budget)
    trainer = make_trainer(run, build_network(arch, seed=run.config.seed, dropout=settings.dropout))
    if state.baseline is not None:
        trainer.load_state_dict(dict(state.baseline))
    result = BaselineResult(name, arch_string.encode(arch), count_macs(arch).total, count_params(arch), None, None)
    epochs_left = settings.epochs - trainer.position[0] - trainer.position[1] / trainer.steps
    work_left = training_work(run.config, run.teacher_macs) * len(run.data.train) * epochs_left
    done_at_end = run.reporter.pace.done + work_left
    epochs_before = (1 + index) * settings.epochs

    def state_now() -> TrainingState:
        return replace(state, baseline=trainer.state_dict())

    try:
        train_to_the_end(
            run,
            trainer,
            state_now,
            delivered=run.table.arch(state.choice),
            name=name,
            epochs_before=epochs_before,
        )
    except (Diverged, StepTooLarge) as error:
        run.reporter.add_work(done_at_end - run.reporter.pace.done)  # nothing of it is left to do
        return replace(result, problem=str(error))
    measured = evaluate(trainer.averaged(), run.watched(run.loader.plain(run.data.test)))
    if not math.isfinite(measured.loss):
        return replace(result, problem=f"the trained network computes {measured.loss}")
    return replace(result, test_correct=measured.correct, test_top1_pct=measured.top1_pct)
