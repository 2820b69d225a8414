"""What a user may ask: strict, and every problem named at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autonl_core.errors import OtherVersion
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import AugmentConfig, CardConfig, ExportConfig, SupernetConfig, TrainConfig
from autonl_core.spec.macs_text import MAX_MACS

MINIMAL: dict[str, Any] = {"dataset": "digits", "flops_budget": 400_000}


def problems(data: object) -> dict[str, str]:
    """Place and kind of everything that is wrong with `data`."""
    with pytest.raises(ValidationError) as caught:
        SearchConfig.model_validate(data)
    return {".".join(str(part) for part in error["loc"]): error["type"] for error in caught.value.errors()}


def test_a_data_set_and_a_budget_are_enough() -> None:
    config = SearchConfig.model_validate(MINIMAL)
    assert (config.dataset, config.flops_budget, config.algorithm, config.seed) == ("digits", 400_000, "autonl", 0)
    assert (config.supernet, config.train, config.augment) == (SupernetConfig(), TrainConfig(), AugmentConfig())


@pytest.mark.parametrize(
    ("written", "macs"),
    [
        (4_500_000, 4_500_000),
        ("4500000", 4_500_000),
        ("300M", 300_000_000),
        ("4.5M", 4_500_000),
        ("0.3M", 300_000),  # not 299,999, which binary fractions would give
        ("800k", 800_000),
        (" 1.000001M ", 1_000_001),
        ("1000G", MAX_MACS),
    ],
)
def test_a_budget_is_a_whole_number_or_a_text_with_a_unit(written: object, macs: int) -> None:
    assert SearchConfig.model_validate({**MINIMAL, "flops_budget": written}).flops_budget == macs


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (0, "greater_than_equal"),
        (-5, "greater_than_equal"),
        ("0M", "greater_than_equal"),
        (MAX_MACS + 1, "less_than_equal"),
        (10**400, "less_than_equal"),
        ("1001G", "less_than_equal"),
        (4.5e6, "int_type"),
        (float("nan"), "int_type"),
        (float("inf"), "int_type"),
        (True, "int_type"),
        (None, "int_type"),
        ([300], "int_type"),
        ("", "value_error"),
        ("M", "value_error"),
        ("300 m", "value_error"),
        ("300MB", "value_error"),
        ("-3M", "value_error"),
        ("3e8", "value_error"),
        ("1.0000001M", "value_error"),  # a tenth of a multiply-add
        ("9" * 5000, "value_error"),
    ],
)
def test_any_other_budget_is_refused(written: object, kind: str) -> None:
    assert problems({**MINIMAL, "flops_budget": written}) == {"flops_budget": kind}


def test_the_refusal_of_a_budget_shows_how_to_write_one() -> None:
    with pytest.raises(ValidationError, match=r'an integer or a text such as "300M", "4\.5M" or "800k"'):
        SearchConfig.model_validate({**MINIMAL, "flops_budget": "lots"})


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("dataset", "", "string_pattern_mismatch"),
        ("dataset", "../etc", "string_pattern_mismatch"),
        ("dataset", "a\n", "string_pattern_mismatch"),
        ("dataset", "x" * 65, "string_pattern_mismatch"),
        ("dataset", 5, "string_type"),
        ("search_space", "no spaces", "string_pattern_mismatch"),
        ("resolution", 7, "greater_than_equal"),
        ("resolution", 513, "less_than_equal"),
        ("resolution", "32", "int_type"),
        ("algorithm", "random", "literal_error"),
        ("seed", -1, "greater_than_equal"),
        ("seed", 2**31, "less_than_equal"),
        ("seed", 1.0, "int_type"),
        ("seed", True, "int_type"),
        ("val_fraction", 0, "greater_than"),
        ("val_fraction", 0.6, "less_than_equal"),
        ("val_fraction", float("nan"), "finite_number"),
        ("val_fraction", "0.1", "float_type"),
        ("supernet", None, "model_type"),
        ("surprise", 1, "extra_forbidden"),
    ],
)
def test_a_field_out_of_its_range_or_type_is_refused(field: str, value: object, kind: str) -> None:
    assert problems({**MINIMAL, field: value}) == {field: kind}


def test_everything_that_is_wrong_is_listed_at_once() -> None:
    found = problems(
        {
            "flops_budget": "many",
            "seed": "0",
            "val_fraction": float("inf"),
            "colour": "red",
            "supernet": {"epochs": -1, "lr": float("nan"), "width": 2, "candidates": 10**400},
            "train": {"weights": "borrow", "momentum": 1},
            "augment": {"horizontal_flip": 1, "erase": -0.1},
        }
    )
    assert found == {
        "dataset": "missing",
        "flops_budget": "value_error",
        "seed": "int_type",
        "val_fraction": "finite_number",
        "colour": "extra_forbidden",
        "supernet.epochs": "greater_than_equal",
        "supernet.lr": "finite_number",
        "supernet.width": "extra_forbidden",
        "supernet.candidates": "less_than_equal",
        "train.weights": "literal_error",
        "train.momentum": "less_than",
        "augment.horizontal_flip": "bool_type",
        "augment.erase": "greater_than_equal",
    }


@pytest.mark.parametrize("data", [None, [], "digits", 5])
def test_what_is_not_an_object_is_refused(data: object) -> None:
    assert problems(data) == {"": "model_type"}


@given(
    st.builds(
        SearchConfig,
        dataset=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
        flops_budget=st.integers(1, MAX_MACS),
        search_space=st.none() | st.just("tiny"),
        resolution=st.none() | st.integers(8, 512),
        seed=st.integers(0, 2**31 - 1),
        val_fraction=st.floats(0.01, 0.5),
        train=st.builds(TrainConfig, lr=st.floats(1e-6, 10), weights=st.sampled_from(["inherit", "retrain"])),
        augment=st.builds(AugmentConfig, horizontal_flip=st.none() | st.booleans()),
    )
)
def test_json_carries_every_configuration_both_ways(config: SearchConfig) -> None:
    stored = json.dumps(config.to_json())
    assert SearchConfig.model_validate(json.loads(stored)) == config
    assert SearchConfig.model_validate_json(stored) == config


def test_a_yaml_file_is_validated_by_the_same_rules() -> None:
    text = """
    dataset: digits
    flops_budget: 0.4M
    train: {epochs: 20, lr: 0.05}
    """
    config = SearchConfig.model_validate(yaml.safe_load(text))
    assert (config.flops_budget, config.train.epochs, config.train.lr) == (400_000, 20, 0.05)


def test_a_configuration_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SearchConfig.model_validate(MINIMAL).seed = 1  # type: ignore[misc]


class TestCard:
    def test_authors_and_a_licence_may_be_given_and_earlier_searches_have_none(self) -> None:
        card = {"licence": " CC-BY-4.0 ", "authors": ["Ada", "Bob é"]}
        config = SearchConfig.model_validate(MINIMAL | {"card": card})
        assert (config.card.licence, config.card.authors) == ("CC-BY-4.0", ("Ada", "Bob é"))
        assert SearchConfig.model_validate(json.loads(json.dumps(config.to_json()))) == config
        stored = config.to_json()
        del stored["card"]
        assert SearchConfig.stored(stored).card == CardConfig(licence=None, authors=())

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"taste": "sweet"}, "taste"),
            ({"algorithm": "autonl-3"}, "algorithm"),
            ({"card": {"motto": "x"}}, "card.motto"),
        ],
    )
    def test_what_a_later_version_stored_is_neither_ignored_nor_called_invalid(
        self, change: dict[str, Any], named: str
    ) -> None:
        stored = SearchConfig.model_validate(MINIMAL).to_json() | change
        with pytest.raises(OtherVersion, match=f"does not know: {named}$"):
            SearchConfig.stored(stored)

    @pytest.mark.parametrize(
        "card",
        [{"licence": ""}, {"licence": "x" * 201}, {"licence": "a\nb"}, {"authors": ["a"] * 21}, {"authors": [" "]},
         {"author": "Ada"}],
    )  # fmt: skip
    def test_what_is_no_line_of_text_is_refused(self, card: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            SearchConfig.model_validate(MINIMAL | {"card": card})


class TestExport:
    def test_onnx_in_three_forms_and_torch_export_unless_asked_otherwise(self) -> None:
        config = SearchConfig(dataset="digits", flops_budget=400_000)
        assert config.export.formats == ("onnx", "onnx-uint8", "onnx-int8", "pt2")
        assert SearchConfig.model_validate(json.loads(json.dumps(config.to_json()))) == config

    def test_formats_are_listed_once_and_known(self) -> None:
        config = ExportConfig.model_validate({"formats": ["pt2", "onnx", "pt2"]})
        assert config.formats == ("pt2", "onnx")
        assert ExportConfig.model_validate({"formats": []}).formats == ()
        with pytest.raises(ValidationError, match="tflite"):
            ExportConfig.model_validate({"formats": ["onnx", "tflite"]})

    def test_a_search_of_before_there_were_formats_is_still_one(self) -> None:
        stored = SearchConfig(dataset="digits", flops_budget=400_000).to_json()
        del stored["export"]
        assert SearchConfig.model_validate(stored).export == ExportConfig()
