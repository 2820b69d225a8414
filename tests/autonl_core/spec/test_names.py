"""Names that users give: the pattern, and the rule in words."""

from __future__ import annotations

import re

import pytest
from pydantic import TypeAdapter, ValidationError

from autonl_core.spec.config import Init
from autonl_core.spec.name_field import Name
from autonl_core.spec.names import NAME_PATTERN, NAME_RULE, is_name

GOOD = ("a", "7", "flowers-2026_v1.2", "A" * 64)
BAD = ("", "my photos", "café", "-flowers", ".hidden", "a/b", "a\n", "a" * 65, "x:y", "花")


@pytest.mark.parametrize("text", [*GOOD, *BAD])
def test_the_pattern_and_both_checks_agree(text: str) -> None:
    assert is_name(text) == (text in GOOD) == (re.fullmatch(NAME_PATTERN.strip("^$"), text) is not None)
    if text in GOOD:
        assert TypeAdapter(Name).validate_python(text) == text
        return
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Name).validate_python(text)
    (error,) = refused.value.errors()
    assert (error["type"], error["msg"]) == ("string_pattern_mismatch", NAME_RULE)


def test_the_start_of_a_search_may_be_another_one() -> None:
    assert TypeAdapter(Init).validate_python("search:0123") == "search:0123"
    with pytest.raises(ValidationError, match="search: followed by the id of a finished search"):
        TypeAdapter(Init).validate_python("search: 0123")


def test_the_description_of_the_api_keeps_the_pattern() -> None:
    assert TypeAdapter(Name).json_schema() == {"type": "string", "pattern": NAME_PATTERN}
