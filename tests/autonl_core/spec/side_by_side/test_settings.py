"""The settings in which searches differ: by hand, and for any two changes of a configuration."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autonl_core.spec.config import SearchConfig
from autonl_core.spec.side_by_side.settings import differing_settings


def stored(**changes: Any) -> dict[str, Any]:
    return SearchConfig.model_validate({"dataset": "digits", "flops_budget": 400_000, **changes}).to_json()


def found(*configs: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {setting.path: setting.values for setting in differing_settings(configs)}


def test_only_what_differs_is_listed_with_the_path_through_its_sections() -> None:
    first = stored(train={"epochs": 8}, baselines=["mobilenet_v2"])
    others = stored(flops_budget=300_000, train={"epochs": 8}), stored(train={"epochs": 20})
    assert found(first, *others) == {
        "flops_budget": (400_000, 300_000, 400_000),
        "train.epochs": (8, 8, 20),
        "baselines": (["mobilenet_v2"], [], []),
    }
    assert list(found(first, *others)) == ["flops_budget", "train.epochs", "baselines"]  # as a configuration has them
    assert found(first, first) == {}


def test_a_setting_that_is_left_out_at_its_default_has_its_default() -> None:
    other = stored(precision="bf16", train={"stochastic_depth": 0.2})
    assert "precision" not in stored()
    assert found(stored(), other) == {"precision": ("tf32", "bf16"), "train.stochastic_depth": (0.0, 0.2)}


def test_settings_of_another_version_are_compared_all_the_same() -> None:
    newer = {**stored(), "novelty": {"depth": 3}, "train": {**stored()["train"], "twist": True}}
    assert found(stored(), newer) == {"train.twist": (None, True), "novelty.depth": (None, 3)}


def test_whom_a_search_repeats_is_no_setting() -> None:
    first = stored(seed=3, repeat=2)
    assert found(first, {**first, "seed": 4, "repeat_of": "a"}) == {"seed": (3, 4)}


def test_one_is_a_number_and_true_is_none() -> None:
    assert found({**stored(), "x": 1}, {**stored(), "x": 1.0}) == {}
    assert found({**stored(), "x": 1}, {**stored(), "x": True}) == {"x": (1, True)}


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 3),
        "precision": st.sampled_from(["tf32", "bf16"]),
        "train": st.fixed_dictionaries({}, optional={"epochs": st.integers(1, 3), "lr": st.sampled_from([0.1, 0.2])}),
    },
)


@settings(max_examples=30)
@given(st.lists(CHANGES, min_size=2, max_size=5))
def test_what_is_listed_differs_and_nothing_else_does(changes: list[dict[str, Any]]) -> None:
    configs = [SearchConfig.model_validate({"dataset": "digits", "flops_budget": 400_000, **each}) for each in changes]
    listed = found(*(config.to_json() for config in configs))
    assert all(len(values) == len(configs) for values in listed.values())
    assert all(any(value != values[0] for value in values) for values in listed.values())
    expected = {
        path: read
        for path in ("seed", "precision", "train.epochs", "train.lr")
        if len(set(read := tuple(_value(config, path) for config in configs))) > 1
    }
    assert listed == expected


def _value(config: SearchConfig, path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value
