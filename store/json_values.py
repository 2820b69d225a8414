"""Values that every database can store as JSON: no NaN, no infinities, no NUL, no lone surrogates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def plain_text(text: str) -> str:
    """`text` without NUL and lone surrogates, which PostgreSQL and UTF-8 cannot represent."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def plain_json(value: Any) -> Any:
    """`value` as JSON that both databases store identically; a number that is not finite becomes null.

    Raises:
        TypeError: part of it has no JSON form.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, Mapping):
        return {plain_text(str(key)): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(item) for item in value]
    if isinstance(value, PurePath):
        return plain_text(str(value))
    raise TypeError(f"{value!r} of type {type(value).__name__} has no JSON form")
