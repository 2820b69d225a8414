"""Counts agree with their nouns and verbs."""

from __future__ import annotations

import pytest

from autonl_core.wording.counts import agreeing, counted


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (2, "file", "2 files"),
        (1, "test image", "1 test image"),
        (1200, "test image", "1,200 test images"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (3, "copy", "3 copies"),
        (3, "day", "3 days"),
        (2, "box", "2 boxes"),
        (2, "pass", "2 passes"),
    ],
)
def test_nouns(count: int, noun: str, expected: str) -> None:
    assert counted(count, noun) == expected


def test_verbs_and_pronouns() -> None:
    words = ("is", "was", "has", "it", "this")
    assert [agreeing(1, word) for word in words] == list(words)
    assert [agreeing(2, word) for word in words] == ["are", "were", "have", "they", "these"]
