"""Labels of searches: what users know them by, such as `team: x`. Searches are found by them; nothing else changes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_LABELS = 16  # of one search
MAX_VALUE = 64
_KEY_PATTERN = r"[a-z][a-z0-9._-]{0,31}"
# Control and format characters, separators but for the space, private use: in ranges, as every dialect of regular
# expressions reads them. What Unicode has not assigned yet is allowed, whatever version of it Python knows.
_HIDDEN = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ue000-\uf8ff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f\U000f0000-\U000ffffd\U00100000-\U0010fffd"
)
_VALUE_PATTERN = f"[^{_HIDDEN}]{{1,{MAX_VALUE}}}"
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character, which only JSON in Python can hold
KEY_RULE = "a key is 1 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter"
VALUE_RULE = f"a value is 1 to {MAX_VALUE} printable characters"


def _check_key(key: str) -> str:
    if re.fullmatch(_KEY_PATTERN, key) is None:
        raise PydanticCustomError("label_key", "{rule}", {"rule": KEY_RULE})
    return key


def _check_value(value: str) -> str:
    if re.fullmatch(_VALUE_PATTERN, value) is None or _SURROGATE.search(value):
        raise PydanticCustomError("label_value", "{rule}", {"rule": VALUE_RULE})
    return value


_KEY_SCHEMA = {"type": "string", "pattern": f"^{_KEY_PATTERN}$"}
_VALUE_SCHEMA = {"type": "string", "pattern": f"^{_VALUE_PATTERN}$"}
LabelKey = Annotated[str, AfterValidator(_check_key), WithJsonSchema(_KEY_SCHEMA)]
LabelValue = Annotated[str, AfterValidator(_check_value), WithJsonSchema(_VALUE_SCHEMA)]


def _object_schema(value: dict[str, Any], **lengths: int) -> WithJsonSchema:
    """Not `patternProperties`, which says nothing of keys that do not match."""
    return WithJsonSchema({"type": "object", "propertyNames": _KEY_SCHEMA, "additionalProperties": value, **lengths})


Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(max_length=MAX_LABELS),
    _object_schema(_VALUE_SCHEMA, maxProperties=MAX_LABELS),
]
LabelChanges = Annotated[
    dict[LabelKey, LabelValue | None],
    Field(min_length=1, max_length=2 * MAX_LABELS),
    _object_schema({"anyOf": [_VALUE_SCHEMA, {"type": "null"}]}, minProperties=1, maxProperties=2 * MAX_LABELS),
]


def read_label(text: str) -> tuple[str, str]:
    """The key and the value of `key:value`. Raises PydanticCustomError if it is no label."""
    key, colon, value = text.partition(":")
    if not colon:
        raise PydanticCustomError("label", "write a label as key:value, as in team:x")
    return _check_key(key), _check_value(value)


def _check_label(text: str) -> str:
    read_label(text)
    return text


LabelText = Annotated[
    str,
    AfterValidator(_check_label),
    WithJsonSchema({"type": "string", "pattern": f"^{_KEY_PATTERN}:{_VALUE_PATTERN}$"}),
]
