"""Published networks at the same MACs, trained with the same recipe, data, epochs and seed as the chosen one.

They come after it, so that a search that is stopped has its result first, and are scored once on the test split. One
that diverges or needs more memory than there is has no score, and the search goes on: it is there to compare with.
"""

from __future__ import annotations

import math
from dataclasses import replace

from autonl_core.errors import Diverged, StepTooLarge
from autonl_core.nn.network import build_network
from autonl_core.phases.training import train_to_the_end
from autonl_core.run.pace import child_work
from autonl_core.run.run_state import State
from autonl_core.run.search_run import SearchRun
from autonl_core.spec import arch_string
from autonl_core.spec.feasibility import scale_baseline
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.result import BaselineResult
from autonl_core.training.evaluate import evaluate
from autonl_core.training.trainer import Trainer


def train_baselines(run: SearchRun, state: State) -> tuple[BaselineResult, ...]:
    """Train and score every baseline of the configuration that `state` does not hold yet."""
    done = [BaselineResult(**saved) for saved in state.get("baselines", ())]
    if len(done) == len(run.config.baselines):
        return tuple(done)
    run.enter("training")
    turn = state.get("baseline")
    for index in range(len(done), len(run.config.baselines)):
        state = {**state, "baselines": [result.to_json() for result in done]}
        done.append(_take_turn(run, index, state, turn))
        turn = None
        run.sink.event("baseline_trained", done[-1].to_json())
        run.save({**state, "baselines": [result.to_json() for result in done]})
    run.leave("training")
    return tuple(done)


def _take_turn(run: SearchRun, index: int, state: State, turn: State | None) -> BaselineResult:
    """Train one baseline to its end, from where `turn` left it, and score it."""
    name, settings = run.config.baselines[index], run.config.train
    arch = scale_baseline(name, run.table.space, run.config.flops_budget)
    network = build_network(arch, seed=run.config.seed, dropout=settings.dropout).to(run.device)
    trainer = Trainer(network, run.data.train, run.loader, settings, "train", settings.epochs, run.micro_batches)
    if turn is not None:
        trainer.load_state_dict(turn)
    result = BaselineResult(name, arch_string.encode(arch), count_macs(arch).total, count_params(arch), None, None)
    done_before, steps_before = run.pace.done, trainer.position[0] * trainer.steps + trainer.position[1]
    work = child_work(run.config) * len(run.data.train) * (settings.epochs - steps_before / trainer.steps)
    try:
        train_to_the_end(
            run,
            trainer,
            lambda: {**state, "baseline": trainer.state_dict()},
            name=name,
            epochs_before=(1 + index) * settings.epochs,
        )
    except (Diverged, StepTooLarge) as error:
        run.pace.done = done_before + work
        return replace(result, problem=str(error))
    measured = evaluate(trainer.averaged(), run.watched("training", run.loader.plain(run.data.test)))
    if not math.isfinite(measured.loss):
        return replace(result, problem=f"the trained network computes {measured.loss}")
    return replace(result, test_correct=measured.correct, test_top1_pct=measured.top1_pct)
