"""The phase `deriving`: from the learned distribution to one architecture, by evaluation.

Gradients narrow the distribution; measured networks decide. Candidates are drawn from the distribution within the
budget, scored on the shared weights with validation images, the best mutated for a few rounds. The best few then train
for themselves a little, and half of them go on after each round, until one is left.

Two candidates that owe nothing to the search always take part, and one of them reaches the final if it has two seats or
more: `uniform`, the same small block everywhere, and `widest`, the network with the most parameters the budget allows.
What random networks score is reported beside the winner.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autonl_core.data.batches import random_stream
from autonl_core.errors import Diverged, StepTooLarge, is_out_of_memory
from autonl_core.nn.network import Network, to_channels_last
from autonl_core.phases.searching import score_choice
from autonl_core.run.pace import child_work
from autonl_core.run.run_state import State
from autonl_core.run.search_run import BestSoFar, SearchRun
from autonl_core.spec.macs import block_params
from autonl_core.spec.search_space import Option
from autonl_core.supernet.budget import BandSampler, Floats, band, log_scores, project
from autonl_core.supernet.gates import Choice, GateTable
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.evaluate import evaluate
from autonl_core.training.trainer import Trainer

RANDOM_NETWORKS = 8  # for the comparison
MUTATION_RATE = 0.15  # chance of every position to change
_FINALIST_EMA_DECAY = 0.99  # a short training needs a short memory


@dataclass(frozen=True)
class Candidate:
    """A network within the budget, where it came from, and what it scored on validation images."""

    choice: Choice
    origin: str
    loss: float = float("inf")
    top1_pct: float = 0.0
    feasible: bool = True  # False: memory did not suffice to score it

    def to_state(self) -> dict[str, Any]:
        return {"choice": list(self.choice), "origin": self.origin, "loss": self.loss, "top1_pct": self.top1_pct}


def derive(run: SearchRun, state: State) -> State:
    """Choose the architecture. Returns the state that `training` starts from."""
    run.enter("deriving")
    if "survivors" not in state:
        state = _choose_finalists(run, state)
        run.save(state)
    while len(state["survivors"]) > 1:
        state = _halve(run, state)
        run.save(state)
    run.leave("deriving")
    winner = state["survivors"][0]
    return {
        "phase": "training",
        "choice": winner["choice"],
        "origin": winner["origin"],
        "val_top1_pct": winner["top1_pct"],
        "comparison": state["comparison"],
        "inherited": winner["network"],
    }


def _choose_finalists(run: SearchRun, state: State) -> State:
    """Score candidates on the shared weights; keep the best and the best that owes nothing to the search."""
    supernet = Supernet(run.table, seed=run.config.seed).to(run.device)
    supernet.load_state_dict(state["supernet"])
    scored: dict[Choice, Candidate] = {}

    def judge(choice: Choice, origin: str) -> None:
        if choice not in scored:
            scored[choice] = _judge(run, supernet, Candidate(choice, origin))
            run.tell("deriving", step=len(scored))
            run.stop_if_asked()

    run.best_so_far = lambda: BestSoFar(supernet.derive(_ranked(scored.values())[0].choice))
    probabilities = np.array(state["probabilities"])
    for choice, origin in propose(run.table, probabilities, run.config.flops_budget, run.config.supernet.candidates,
                                  random_stream("candidates", run.config.seed, 0)):  # fmt: skip
        judge(choice, origin)
    for generation in range(run.config.supernet.generations):
        rng = random_stream("candidates", run.config.seed, 1 + generation)
        parents = _ranked(c for c in scored.values() if c.origin != "random")[: max(2, len(scored) // 8)]
        for _ in range(run.config.supernet.candidates // 2):
            judge(
                mutate(run.table, parents[rng.integers(len(parents))].choice, run.config.flops_budget, rng), "evolved"
            )
    ranking = _ranked(scored.values())
    finalists = _finalists(ranking, run.config.supernet.finalists)
    if len(finalists) == 1:  # nothing to compare: no training, no halving
        run.sink.event("derived_without_final", {"origin": finalists[0].origin})
    survivors = [c.to_state() | {"network": supernet.derive(c.choice).state_dict()} for c in finalists]
    comparison = _comparison(ranking)
    run.sink.event("candidates_scored", {"count": len(ranking), **comparison})
    return {"phase": "deriving", "survivors": survivors, "trained": [], "comparison": comparison, "round": 0}


def _judge(run: SearchRun, supernet: Supernet, candidate: Candidate) -> Candidate:
    """Score a candidate on the shared weights. One that memory does not suffice for is infeasible."""
    try:
        measured = score_choice(run, supernet, candidate.choice)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _tell_infeasible(run, candidate.choice, candidate.origin)
        return replace(candidate, feasible=False)
    return replace(candidate, loss=measured.loss, top1_pct=measured.top1_pct)


def _tell_infeasible(run: SearchRun, choice: Choice, origin: str) -> None:
    """Memory does not suffice for this candidate; with more of it, another one might win."""
    run.exact = False
    run.sink.event("candidate_out_of_memory", {"arch_id": run.table.arch(choice).arch_id, "origin": origin})


def propose(
    table: GateTable, p: Floats, budget_macs: int, count: int, rng: np.random.Generator
) -> list[tuple[Choice, str]]:
    """Candidates within the budget and their origin: the most likely, `count` drawn, and those for comparison."""
    low, high = band(budget_macs)
    options = table.option_probabilities(p)
    most_likely = project(table, log_scores(options), low, high)
    low = min(low, most_likely.macs)  # a space too coarse for the band: the best below the budget is the band
    proposed = [(most_likely.choice, "most_likely")]
    proposed.append((project(table, _uniform_scores(table), low, high).choice, "uniform"))
    proposed.append((project(table, _scores(table, _params), low, high).choice, "widest"))
    learned = BandSampler(table, options, low, high)
    even = BandSampler(table, [np.full(len(q), 1 / len(q)) for q in options], low, high)
    draws = [(learned.draw(rng), "drawn") for _ in range(count)]
    draws += [(even.draw(rng), "random") for _ in range(RANDOM_NETWORKS)]
    return proposed + [(choice, origin) for choice, origin in draws if choice is not None]


def mutate(table: GateTable, parent: Choice, budget_macs: int, rng: np.random.Generator) -> Choice:
    """A neighbour of `parent` within the budget: some positions change at random, the fewest others to make it fit."""
    low, high = band(budget_macs)
    low = min(low, table.macs(parent))  # a parent below the band is there because the band is empty
    scores: list[Floats] = []
    for costs, kept in zip(table.costs, parent, strict=True):
        values = 0.1 * rng.random(len(costs))  # ties between repairs are broken at random
        values[kept] += 1.0
        if rng.random() < MUTATION_RATE:
            values[rng.integers(len(costs))] += 2.0
        scores.append(values)
    return project(table, scores, low, high).choice


def _halve(run: SearchRun, state: State) -> State:
    """Train every survivor a little, keep the better half. `turn` of the state is the training that was interrupted."""
    trained: list[dict[str, Any]] = list(state["trained"])

    def best_so_far() -> BestSoFar:
        best = min(trained or state["survivors"], key=lambda survivor: _sortable(survivor["loss"]))
        return BestSoFar(_network_of(run, best))

    run.best_so_far = best_so_far
    for survivor in state["survivors"][len(trained) :]:
        begun = {**state, "trained": trained}
        trained = [*trained, _train_a_little(run, survivor, begun, number=len(trained) + 1)]
        state = {key: value for key, value in state.items() if key != "turn"}
        if any(_feasible(one) for one in trained):  # otherwise the next attempt, with more memory, tries them all again
            run.save({**state, "trained": trained})
    trained.sort(key=lambda survivor: (_sortable(survivor["loss"]), survivor["choice"]))
    best = trained[0]
    if not math.isfinite(best["loss"]):
        if not _feasible(best):
            raise StepTooLarge("memory runs out for every finalist, in however small parts of a batch")
        raise Diverged(f"no finalist has a finite loss; lower train.lr ({run.config.train.lr})")
    arch = run.table.arch(tuple(best["choice"]))
    run.sink.architecture(run.record_of(arch, val_top1_pct=best["top1_pct"]))
    shown = [{"origin": s["origin"], "val_loss": s["loss"], "val_top1_pct": s["top1_pct"]} for s in trained]
    comparison = state["comparison"] | {f"final_round_{state['round'] + 1}": shown}
    run.sink.event("finalists_halved", {"round": state["round"] + 1, "finalists": shown})
    kept = trained[: len(trained) // 2]
    return {**state, "survivors": kept, "trained": [], "comparison": comparison, "round": state["round"] + 1}


def _train_a_little(run: SearchRun, survivor: dict[str, Any], state: State, number: int) -> dict[str, Any]:
    """One finalist's turn: a short training of its own, then its validation score."""
    epochs = run.config.supernet.finalist_epochs
    config = run.config.train.model_copy(
        update={"lr": run.config.train.lr / 2, "warmup_epochs": 0, "ema_decay": _FINALIST_EMA_DECAY}
    )
    network = _network_of(run, survivor)
    trainer = Trainer(network, run.fit, run.loader, config, "finalist", epochs, run.micro_batches)
    if "turn" in state:
        trainer.load_state_dict(state["turn"])

    def state_now() -> State:
        return {**state, "turn": trainer.state_dict()}

    done_before = run.pace.done
    try:
        _train(run, trainer, state_now)
    except StepTooLarge:
        _tell_infeasible(run, tuple(survivor["choice"]), survivor["origin"])
        return {**survivor, "loss": math.inf, "top1_pct": 0.0, "feasible": False}
    run.pace.done = done_before + epochs * len(run.fit) * child_work(run.config)
    measured = evaluate(trainer.averaged(), run.loader.plain(run.val))
    run.add_point("deriving", state["round"], {f"finalist_{number}_val_top1_pct": measured.top1_pct})
    scored = Candidate(tuple(survivor["choice"]), survivor["origin"], measured.loss, measured.top1_pct)
    return scored.to_state() | {"network": network.state_dict()}


def _train(run: SearchRun, trainer: Trainer, state_now: Callable[[], State]) -> None:
    while not trainer.finished:
        epoch = trainer.position[0]
        for step in trainer.run_epoch():
            run.tell("deriving", epoch + 1, trainer.epochs, step + 1, trainer.steps)
            run.stop_if_asked(state_now)
            run.save_if_due(state_now)


def _network_of(run: SearchRun, survivor: dict[str, Any]) -> Network:
    """The network of a finalist with the weights it has so far, on the search's device."""
    network = Network(run.table.arch(tuple(survivor["choice"])), run.config.train.dropout)
    network.load_state_dict(survivor["network"])
    return to_channels_last(network).to(run.device)


def _feasible(finalist: dict[str, Any]) -> bool:
    return bool(finalist.get("feasible", True))


def _sortable(loss: float) -> float:
    """A loss that is not a number ranks last."""
    return loss if math.isfinite(loss) else math.inf


def _ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best validation loss first; equal ones in a fixed order. Infeasible ones are left out.

    Raises:
        StepTooLarge: none of them is feasible.
    """
    feasible = [candidate for candidate in candidates if candidate.feasible]
    if not feasible:
        raise StepTooLarge("memory does not suffice to score any candidate; lower supernet.batch_size")
    return sorted(feasible, key=lambda candidate: (_sortable(candidate.loss), candidate.choice))


def _finalists(ranking: list[Candidate], count: int) -> list[Candidate]:
    """The best `count`, of which the last seat, if there are several, goes to `uniform` or `widest`."""
    outsiders = [candidate for candidate in ranking if candidate.origin in ("uniform", "widest")]
    best = [c for c in ranking if c.origin != "random"][:count]
    if len(best) > 1 and outsiders and not any(c in best for c in outsiders):
        best[-1] = outsiders[0]
    return best


def _comparison(ranking: list[Candidate]) -> dict[str, Any]:
    """Validation top-1 on the shared weights, at equal MACs: the search's own against those that owe it nothing."""
    by_origin: dict[str, list[float]] = {}
    for candidate in ranking:
        by_origin.setdefault(candidate.origin, []).append(round(candidate.top1_pct, 2))
    means = {origin: round(float(np.mean(values)), 2) for origin, values in by_origin.items()}
    best = {origin: max(values) for origin, values in by_origin.items()}
    return {"measure": "val_top1_pct on shared weights", "candidates": len(ranking), "mean": means, "best": best}


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

    rng = random.Random(0)  # which layers deviate is a matter of taste, but always the same
    return [scores + np.array([0.01 * rng.random() for _ in scores]) for scores in _scores(table, likeness)]
