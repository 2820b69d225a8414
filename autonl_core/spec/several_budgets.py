"""Several budgets from one search: the first learns the shared weights for all, the others go on with them.

Each budget is a search of its own, with a result, a certificate and a bundle: one that fails or is cancelled leaves the
others alone. What they share is dear, what they add is not: a few scores, and the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import SupernetConfig

# Gates and weights are learned already. Scores only choose within a budget, by what the gates say.
DERIVES_ONLY: Mapping[str, Any] = {
    "epochs": 0,
    "warmup_fraction": 0.0,
    "candidates": 8,
    "generations": 1,
    "finalists": 1,
}


def for_budget(first: SearchConfig, first_id: str, budget_macs: int) -> SearchConfig:
    """The search for another budget that goes on from `first`, the settled one that has the id `first_id`.

    It scores a quarter of what `first` draws, in a round less: all budgets together are to cost hardly more than one.
    """
    supernet = dict(DERIVES_ONLY)
    supernet["candidates"] = max(1, min(DERIVES_ONLY["candidates"], first.supernet.candidates // 4))
    supernet["generations"] = max(0, min(DERIVES_ONLY["generations"], first.supernet.generations - 1))
    return first.model_copy(
        update={
            "flops_budget": budget_macs,
            "parent": first_id,
            "keep_supernet": False,  # it is the one of the first
            "supernet": SupernetConfig.model_validate({**first.supernet.to_json(), **supernet}),
        }
    )


def first_of(config: SearchConfig, search_id: str) -> str | None:
    """The search that learns for all budgets of `config`, which has the id `search_id`; None: it has one budget."""
    if len(config.flops_budgets) < 2:
        return None
    return search_id if config.other_budgets else config.parent
