"""Labels: the schema of the API and the validator say the same of every key and value."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from pydantic import TypeAdapter, ValidationError

from autonl_core.spec.labels import LabelChanges, Labels, LabelText

ADAPTER = TypeAdapter[dict[str, str]](Labels)
TEXT = TypeAdapter[str](LabelText)
SCHEMA = ADAPTER.json_schema()
CHANGES = TypeAdapter[dict[str, str | None]](LabelChanges)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"}


def accepts(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def is_described(schema: dict[str, Any], text: str) -> bool:
    return re.fullmatch(schema["pattern"].strip("^$"), text) is not None


def test_a_character_is_refused_by_its_category() -> None:
    """Unassigned ones are allowed: which those are depends on the version of Unicode."""
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        category = unicodedata.category(character)
        if category == "Cn":
            continue
        visible = character == " " or category not in HIDDEN
        assert accepts(ADAPTER, {"team": character}) == visible, f"U+{number:04X} {category}"
        if category != "Cs":  # no text in JSON has half a character
            assert is_described(SCHEMA["additionalProperties"], character) == visible, f"U+{number:04X} {category}"


@given(st.text(max_size=70), st.text(max_size=40) | st.from_regex(r"\A[a-z][a-z0-9._-]{0,33}\Z"))
def test_keys_and_values_are_described_as_they_are_read(value: str, key: str) -> None:
    described = is_described(SCHEMA["propertyNames"], key) and is_described(SCHEMA["additionalProperties"], value)
    assert accepts(ADAPTER, {key: value}) == described
    assert accepts(TEXT, f"{key}:{value}") == is_described(TEXT.json_schema(), f"{key}:{value}")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("team:x", True), ("a:b:c", True), ("team:Grüße 1:2", True), ("", False), ("team", False), ("team:", False)],
)
def test_a_label_in_a_query_is_key_and_value(text: str, allowed: bool) -> None:
    assert accepts(TEXT, text) == is_described(TEXT.json_schema(), text) == allowed


def test_at_most_sixteen_labels_are_described_and_read() -> None:
    assert SCHEMA["maxProperties"] == 16
    assert accepts(ADAPTER, {f"k{number}": "x" for number in range(16)})
    assert not accepts(ADAPTER, {f"k{number}": "x" for number in range(17)})


@given(st.dictionaries(st.sampled_from(["team", "Team", "k1", ""]), st.sampled_from(["x", "", "a\u200bb", None])))
def test_changes_are_described_as_they_are_read(changes: dict[str, str | None]) -> None:
    assert accepts(CHANGES, changes) == OAS31Validator(CHANGES.json_schema()).is_valid(changes)
