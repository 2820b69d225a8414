"""Labels of searches: what users know them by, such as `team: x`. Searches are found by them; nothing else changes."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_LABELS = 16  # of one search
MAX_VALUE = 64
_KEY_PATTERN = r"[a-z][a-z0-9._-]{0,31}"
KEY_RULE = "a key is 1 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter"
VALUE_RULE = f"a value is 1 to {MAX_VALUE} printable characters"


def _check_key(key: str) -> str:
    if re.fullmatch(_KEY_PATTERN, key) is None:
        raise PydanticCustomError("label_key", "{rule}", {"rule": KEY_RULE})
    return key


def _check_value(value: str) -> str:
    if not 0 < len(value) <= MAX_VALUE or not value.isprintable():
        raise PydanticCustomError("label_value", "{rule}", {"rule": VALUE_RULE})
    return value


LabelKey = Annotated[
    str, AfterValidator(_check_key), WithJsonSchema({"type": "string", "pattern": f"^{_KEY_PATTERN}$"})
]
LabelValue = Annotated[
    str, AfterValidator(_check_value), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_VALUE})
]


def read_label(text: str) -> tuple[str, str]:
    """The key and the value of `key:value`. Raises PydanticCustomError if it is no label."""
    key, colon, value = text.partition(":")
    if not colon:
        raise PydanticCustomError("label", "write a label as key:value, as in team:x")
    return _check_key(key), _check_value(value)
