"""Searches that differ only in the seed: what they agree on, and how far their results spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

from pydantic import Field

from api.schemas.base import View, mirrors
from autonl_core.spec.arch_string import decode
from autonl_core.spec.repeats import OptionWins, Spread, option_wins, spread_of
from autonl_core.spec.result import SearchResult
from store.models import Search
from store.searches import search_result
from store.states import SearchState


class RepeatView(View):
    """One of the searches."""

    search_id: str
    seed: int
    state: SearchState
    arch_id: str | None = Field(description="of its result; null: none yet")
    macs: int | None = Field(description="of its result")
    test_top1_pct: float | None = Field(description="of its result")


@mirrors(
    Spread,
    descriptions={
        "count": "searches that have succeeded",
        "deviation": "sample standard deviation; null: there is only one",
        "interval": "95% interval of the mean, by Student's t, cut at 0 and 100; null: there is only one",
    },
)
class SpreadView(View):
    """Test top-1 over the searches that have succeeded, in percent."""


@mirrors(
    OptionWins,
    descriptions={
        "stage": "from 1; a stage begins where the width or the size of the map changes",
        "block": "its place in the stage, from 1",
        "option": "kernel, expansion ratio and LightNL (ratio and stride), as in arch strings; or `skipped`",
        "count": "of the results that have it there",
    },
)
class OptionWinsView(View):
    """How often an option won."""


class RepeatsView(View):
    """The searches that one `repeat` started, by seed; a search that is not repeated stands here without others."""

    searches: list[RepeatView]
    test_top1_pct: SpreadView | None = Field(description="null: none has succeeded yet")
    resolutions: dict[int, int] = Field(description="how many results have this resolution, by pixels")
    options: list[OptionWinsView] = Field(description="by stage and block, the most frequent option first")

    @classmethod
    def of(cls, searches: Sequence[Search]) -> Self:
        results = [search_result(search) for search in searches]
        found = [result.architecture for result in results if result is not None]
        networks = [decode(architecture.arch_string) for architecture in found]
        derived = {
            "searches": [_repeat(search, result) for search, result in zip(searches, results, strict=True)],
            "test_top1_pct": spread_of([each.test_top1_pct for each in found if each.test_top1_pct is not None]),
            "resolutions": Counter(sorted(network.resolution for network in networks)),
            "options": option_wins(networks),
        }
        return cls.model_validate(derived, from_attributes=True)


def _repeat(search: Search, result: SearchResult | None) -> RepeatView:
    architecture = None if result is None else result.architecture
    return RepeatView(
        search_id=search.id,
        seed=search.config["seed"],
        state=search.state,
        arch_id=None if architecture is None else architecture.arch_id,
        macs=None if architecture is None else architecture.macs,
        test_top1_pct=None if architecture is None else architecture.test_top1_pct,
    )
