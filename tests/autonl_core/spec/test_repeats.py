"""Repeats of a search: which seeds, how results spread (against scipy), and how often options won, counted by hand."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from pydantic import ValidationError
from scipy import stats

from autonl_core.spec.arch_string import decode
from autonl_core.spec.config import MAX_SEED, SearchConfig
from autonl_core.spec.repeats import first_of_repeats, option_wins, other_seeds, spread_of
from autonl_core.spec.search_request import SearchRequest


def asked(**changes: Any) -> SearchConfig:
    return SearchConfig.model_validate({"dataset": "digits", "flops_budget": "400k", **changes})


def test_repeats_differ_in_nothing_but_the_seed_and_have_no_repeats_themselves() -> None:
    first = asked(seed=7, repeat=3, train={"epochs": 5})
    others = list(other_seeds(first, "a"))
    assert [other.seed for other in others] == [8, 9]
    for other in others:
        assert other == first.model_copy(update={"seed": other.seed, "repeat_of": "a"})
        assert list(other_seeds(other, "b")) == []
        assert first_of_repeats(other, "b") == "a"
    assert first_of_repeats(first, "a") == "a"


def test_a_search_runs_once_unless_it_is_to_be_repeated() -> None:
    assert list(other_seeds(asked(), "a")) == []
    assert first_of_repeats(asked(), "a") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repeat": 0}, "greater than or equal to 1"),
        ({"repeat": 17}, "less than or equal to 16"),
        ({"repeat": 2, "seed": MAX_SEED}, "the last seed of 2 repeats is above 2,147,483,647; lower seed"),
        ({"repeat": 2, "parent": "a"}, "keeps its seed; leave repeat out"),
        ({"repeat": 2, "init": "search:a"}, "keeps its seed; leave repeat out"),
        ({"repeat": 2, "flops_budgets": ["400k", "300k"]}, "repeat is for one budget"),
    ],
)
def test_what_cannot_be_repeated_is_refused_with_the_way_out(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked(**changes)


def test_the_largest_seed_can_be_the_last_one() -> None:
    assert [other.seed for other in other_seeds(asked(repeat=2, seed=MAX_SEED - 1), "a")] == [MAX_SEED]


def test_no_user_can_ask_for_a_repeat_of_a_search_that_is_another() -> None:
    with pytest.raises(ValidationError, match="repeat_of is set by the service"):
        SearchRequest.model_validate({"dataset": "digits", "flops_budget": "400k", "repeat_of": "a"})


@pytest.mark.parametrize("count", range(2, 17))
def test_the_interval_is_that_of_students_t(count: int) -> None:
    values = [70.0 + (7 * place) % 5 for place in range(count)]
    spread = spread_of(values)
    assert spread is not None
    expected = stats.t.interval(0.95, count - 1, loc=statistics.fmean(values), scale=stats.sem(values))
    assert spread.interval == pytest.approx(expected, abs=1e-3)
    assert (spread.count, spread.lowest, spread.highest) == (count, min(values), max(values))
    assert spread.deviation == pytest.approx(statistics.stdev(values))


def test_a_single_result_has_no_spread_and_none_has_nothing() -> None:
    spread = spread_of([80.0])
    assert spread is not None
    assert (spread.mean, spread.deviation, spread.interval) == (80.0, None, None)
    assert spread_of([]) is None


def test_options_are_counted_at_every_place_where_any_network_has_a_block() -> None:
    """Two stages; the second network skips one block of the first, and has LightNL in the second."""
    first = decode("in32 | cn_k3_s1_c16 | ir_r2_k3_s2_e3_c24 | ir_r1_k5_s2_e6_c40 | cn_k1_s1_c256 | fc10")
    second = decode("in32 | cn_k3_s1_c16 | ir_r1_k3_s2_e3_c24 | ir_r1_k5_s2_e6_c40_nl0.25-2 | cn_k1_s1_c256 | fc10")
    wins = [(one.stage, one.block, one.option, one.count) for one in option_wins([first, second, first])]
    assert wins == [
        (1, 1, "k3_e3", 3),
        (1, 2, "k3_e3", 2),
        (1, 2, "skipped", 1),
        (2, 1, "k5_e6", 2),
        (2, 1, "k5_e6_nl0.25-2", 1),
    ]
    assert option_wins([]) == []
