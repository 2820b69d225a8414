"""What is compared at equal compute: the search, and ways to do without it.

Compute is counted in image-MACs as a search plans it: three per MAC of an image that is trained on, one of one that
is only scored. What an arm spends before its network trains is taken off its training, so all spend the same in total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from autonl_core.nn.network import build_network
from autonl_core.phases.candidates import propose
from autonl_core.phases.deriving import derive
from autonl_core.phases.states import DerivingState, Finalist
from autonl_core.run.search_run import SearchRun
from autonl_core.search import choose_architecture
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.comparison import Comparison
from autonl_core.spec.feasibility import scale_baseline
from autonl_core.spec.zoo import ZOO
from autonl_core.supernet.budget import band, evenly
from autonl_core.supernet.limited_sampler import sampler_within
from autonl_core.supernet.option_costs import Choice

OURS = "autonl"
_MOST_FINALISTS = 32  # of random halving
_SAME_SKELETON = ("efficientnet_lite1", "efficientnet_lite2")  # Lite0 made wider and deeper for larger images


@dataclass(frozen=True)
class Entry:
    """A network that is about to be trained, and the image-MACs that were spent to find it."""

    arch: ArchSpec
    work: float = 0.0


Arm = Callable[[SearchRun], Entry]


def searched(run: SearchRun) -> Entry:
    """The network that the search chooses; it trains as long as it would there, longer if no final was held."""
    found, chosen = choose_architecture(run, [])
    training = found.plan.training_epochs * _epoch_work(run, run.config.flops_budget)
    return Entry(found.table.arch(chosen.choice), run.plan.search - training)


def random_network(run: SearchRun) -> Entry:
    """One network within the budget, drawn without favour."""
    return Entry(run.table.arch(_draw(run, 1)[0]))


def random_halving(run: SearchRun) -> Entry:
    """The best of random networks by successive halving, as many as the compute of the search allows."""
    count = max(range(1, _MOST_FINALISTS + 1), key=lambda number: -abs(halving_work(run, number) - searching_work(run)))
    finalists = tuple(_untrained(run, choice) for choice in _draw(run, count))
    chosen = derive(run, DerivingState(finalists, (), Comparison("", 0, {}, {})))
    return Entry(run.table.arch(chosen.choice), halving_work(run, count))


def uniform(run: SearchRun) -> Entry:
    """The same small block everywhere."""
    return Entry(run.table.arch(_proposed(run, "uniform")))


def widest(run: SearchRun) -> Entry:
    """The network with the most parameters within the budget."""
    return Entry(run.table.arch(_proposed(run, "widest")))


def published(name: str) -> Arm:
    """A published network, its width scaled to the budget and its strides fit to the images."""
    return lambda run: Entry(scale_baseline(name, run.table.space, run.config.flops_budget))


ARMS: Mapping[str, Arm] = {
    OURS: searched,
    "random": random_network,
    "random-halving": random_halving,
    "uniform": uniform,
    "widest": widest,
} | {name: published(name) for name in ZOO if name not in _SAME_SKELETON}


def searching_work(run: SearchRun) -> float:
    """Image-MACs of a search before its network trains."""
    return run.plan.search - run.plan.training_epochs * _epoch_work(run, run.config.flops_budget)


def epochs_for(run: SearchRun, entry: Entry, macs: int) -> int:
    """Passes over all training images by a network of so many MACs, with what is left of the compute of the search."""
    return max(1, round((run.plan.search - entry.work) / _epoch_work(run, macs)))


def halving_work(run: SearchRun, count: int) -> float:
    """Image-MACs of halving so many networks down to one: each trains, and is scored, once in every round."""
    supernet = run.config.supernet.model_copy(update={"finalists": count})
    return replace(run.plan, config=run.config.model_copy(update={"supernet": supernet})).final


def _epoch_work(run: SearchRun, macs: int) -> float:
    return len(run.data.train) * 3.0 * macs


def _draw(run: SearchRun, count: int) -> list[Choice]:
    """Different networks within the budget; fewer where there are not so many."""
    sampler = sampler_within(run.table, evenly(run.table), *band(run.config.flops_budget))
    rng, drawn = np.random.default_rng([run.config.seed, len(run.table.gates)]), dict[Choice, None]()
    for _ in range(20 * count):
        choice = sampler.draw(rng)
        if choice is not None and len(drawn) < count:
            drawn[choice] = None
    return list(drawn)


def _proposed(run: SearchRun, origin: str) -> Choice:
    gates = np.full(len(run.table.gates), 0.5)
    proposals = propose(run.table, gates, run.config.flops_budget, run.config.supernet, np.random.default_rng(0))
    return next(choice for choice, named in proposals if named == origin)


def _untrained(run: SearchRun, choice: Choice) -> Finalist:
    network = build_network(run.table.arch(choice), seed=run.config.seed, dropout=run.config.train.dropout)
    return Finalist(choice, "random", float("inf"), 0.0, network.state_dict())
