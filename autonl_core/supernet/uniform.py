"""The uniform slice of a network: every block cut alike. What a search has to beat."""

from __future__ import annotations

import numpy as np

from autonl_core.nn.network import Network
from autonl_core.spec.search_space import Option
from autonl_core.supernet.budget import Floats, band_within, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.start import as_in_space, choice_of

_STEPS = 16  # targets between the smallest and the largest expansion
_MISFIT, _SKIPPED = 8.0, 50.0  # against the square of a difference in expansion


def uniform_slice(table: GateTable, network: Network, budget_macs: int) -> Choice:
    """The choice within the budget that is most like `network` with one expansion everywhere.

    Kernels and layers stay; expansions differ as little as the budget allows. Only where that is not enough, kernels
    change or layers are skipped.

    Raises:
        SpaceError: `network` is none of the space.
        BudgetError: no network of the space is within the budget.
    """
    whole = choice_of(table, as_in_space(network, table.space).arch)
    band = band_within(table, budget_macs)
    ratios = [option.expand_ratio for options in table.options for option in options if option is not None]
    best: tuple[float, Choice] | None = None
    for target in np.linspace(min(ratios), max(ratios), _STEPS):
        scores = [
            np.array([_likeness(option, options[kept], float(target)) for option in options])
            for options, kept in zip(table.options, whole, strict=True)
        ]
        found = project(table, scores, *band)
        total = _total(scores, found.choice)
        if best is None or total > best[0]:
            best = (total, found.choice)
    assert best is not None
    return best[1]


def _likeness(option: Option, kept: Option, target: float) -> float:
    """0 for the layer of the whole network at the expansion `target`, less the more it differs."""
    if kept is None or option is None:
        return 0.0 if option is kept else -_SKIPPED
    misfits = (option.kernel_size != kept.kernel_size) + (option.light_nl != kept.light_nl)
    # a layer whose expansion cannot be chosen has one of its own
    narrower = 0.0 if option.expand_ratio == kept.expand_ratio == 1 else (option.expand_ratio - target) ** 2
    return -narrower - _MISFIT * misfits


def _total(scores: list[Floats], choice: Choice) -> float:
    return sum(float(values[option]) for values, option in zip(scores, choice, strict=True))
