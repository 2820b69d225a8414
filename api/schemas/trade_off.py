"""What accuracy costs: every network that a search measured, or the searches for all of its budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from api.schemas.base import CountingRule, View, mirrors
from autonl_core.spec import macs
from autonl_core.spec.measured_network import MeasuredNetwork, front_of
from autonl_core.spec.result import SearchResult
from store.models import Search
from store.searches import search_result


@mirrors(
    MeasuredNetwork,
    descriptions={
        "peak_activation_bytes": "largest sum of maps needed at once, float32, one image",
        "origin": "`by_slopes`, `by_scores`, `drawn`: of the search; `random`, `uniform`, `widest`: independent of it",
        "val_top1_pct": "on validation images, with the shared weights",
        "final_val_top1_pct": "on validation images, after its last short training; null: it was in no final",
        "chosen": "whether it is the result of its search",
    },
)
class TradeOffNetwork(View):
    """A network that was measured, and what is known of the one that was delivered."""

    search_id: str
    flops_budget: int
    test_top1_pct: float | None = Field(description="null: not the result of its search")
    latency_ms: dict[str, dict[str, float]] | None = Field(description="by format and batch size; null: not the result")
    on_front: bool = Field(description="no other network here has a higher `val_top1_pct` for as many MACs or fewer")


class TradeOffView(View):
    """Every network that was measured, with few MACs first; those of all budgets if there are several."""

    networks: list[TradeOffNetwork] = Field(description="empty: none of the searches has succeeded yet")
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def of(cls, searches: Sequence[Search]) -> Self:
        measured = [
            (search, result, network)
            for search in searches
            if (result := search_result(search)) is not None
            for network in result.networks
        ]
        measured.sort(key=lambda one: (one[2].macs, -one[2].val_top1_pct))
        front = front_of([network for _, _, network in measured])
        return cls(networks=[_network(*one, on_front=on) for one, on in zip(measured, front, strict=True)])


def _network(search: Search, result: SearchResult, network: MeasuredNetwork, *, on_front: bool) -> TradeOffNetwork:
    delivered = {
        "test_top1_pct": result.architecture.test_top1_pct if network.chosen else None,
        "latency_ms": result.latency_ms if network.chosen else None,
    }
    of_search = {"search_id": search.id, "flops_budget": result.flops_budget, "on_front": on_front}
    return TradeOffNetwork.model_validate(network.to_json() | of_search | delivered)
