"""What a layout may be: the regular expression of the API's description and the parser say the same of every text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autonl_core.datasets.layouts.choose import require_layout
from autonl_core.datasets.layouts.grammar import LAYOUT_PATTERN
from autonl_core.errors import DatasetError

# As JSON Schema means it: in Python, `$` would allow a line break after the end.
AS_DESCRIBED = re.compile(LAYOUT_PATTERN.removesuffix("$") + r"\Z")
WORDS = [*"/ :+*a.\n\u3000", "CLASS", "CLASS_NUMBER", "SPLIT", "auto", "yolo", "a.csv", ".csv", ".JSON", "a/b.txt", "é"]
PIECES = st.lists(st.sampled_from(WORDS), max_size=9).map("".join)


def is_accepted(layout: str) -> bool:
    try:
        require_layout(layout)
    except DatasetError:
        return False
    return True


@given(PIECES | st.text(max_size=6))
@settings(max_examples=1000)
@example("a.csv:b+.csv")
@example("a.csv:b.csv")
@example("CLASS/CLASS_NUMBER")
@example("CLASS_NUMBER/\n")
@example("SPLIT/ SPLIT/CLASS")
@example("a.csv\n")
def test_the_description_accepts_what_the_parser_accepts(layout: str) -> None:
    assert (AS_DESCRIBED.match(layout) is not None) == is_accepted(layout)


@given(st.from_regex(LAYOUT_PATTERN).filter(lambda text: not text.endswith("\n")))
def test_what_is_generated_from_the_description_is_accepted(layout: str) -> None:
    assert is_accepted(layout)


GIVEN = (
    "auto|yolo|CLASS|/SPLIT/CLASS/|*/CLASS|CLASS/CLASS| photos / CLASS |SPLIT/CLASS_NUMBER|labels.csv|labels.csv:breed|"
    "train.csv+test.csv:breed|meta/labels.TSV|a.csv:b/c|a.csv:"
)
OTHERS = (
    "|/|auto |photos|*|SPLIT|SPLIT/SPLIT/CLASS|CLASS/CLASS_NUMBER|CLASS_NUMBER/*|a//CLASS|class|.csv|a.csv+b:breed|"
    ":breed|labels.png|a.csv+.csv|a.csv:b+.csv"
)


@pytest.mark.parametrize("layout", GIVEN.split("|"))
def test_layouts_of_every_form_are_accepted(layout: str) -> None:
    assert is_accepted(layout)
    assert AS_DESCRIBED.match(layout)


@pytest.mark.parametrize("layout", OTHERS.split("|"))
def test_other_texts_are_refused(layout: str) -> None:
    assert not is_accepted(layout)
    assert not AS_DESCRIBED.match(layout)
