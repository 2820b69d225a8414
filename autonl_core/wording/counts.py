"""Counts with their nouns: 1 file, 2 files, 1,200 classes."""

from __future__ import annotations

_IRREGULAR = {"is": "are", "was": "were", "has": "have", "it": "they", "its": "their", "this": "these"}
_HISSING = ("s", "x", "z", "ch", "sh")


def counted(count: int, noun: str) -> str:
    """`count` and its noun: `counted(1, "test image")` is `1 test image`, `counted(2, "class")` is `2 classes`."""
    return f"{count:,} {agreeing(count, noun)}"


def agreeing(count: int, word: str) -> str:
    """`word`, a noun or a verb in the singular, in the number that agrees with `count`."""
    if count == 1:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(_HISSING) else f"{word}s"
