"""Large numbers as people write them, of MACs and of what else is limited: an integer, or a text such as "300M"."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

MAX_MACS = 10**12
_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_MACS_TEXT = re.compile(r"([0-9]+(?:\.[0-9]{1,9})?)([kMG]?)")
# The same as a JSON schema can say it: from 1 to MAX_MACS, with no more decimals than make a whole number.
_MACS_PATTERN = (
    r"^([1-9][0-9]{0,11}|10{12}"
    r"|([1-9][0-9]{0,8}(\.[0-9]{1,3}0{0,6})?|0\.[0-9]{0,2}[1-9]0{0,6}|10{9})k"
    r"|([1-9][0-9]{0,5}(\.[0-9]{1,6}0{0,3})?|0\.[0-9]{0,5}[1-9]0{0,3}|10{6})M"
    r"|([1-9][0-9]{0,2}(\.[0-9]{1,9})?|0\.[0-9]{0,8}[1-9]|10{3})G)$"
)


def parse_macs(value: object) -> object:
    """ "4.5M" -> 4500000; anything that is not such a text passes through, for the type check to judge."""
    return _parse(value, "MACs, as an integer", "a whole number of MACs")


def parse_amount(value: object) -> object:
    """The same for what is not MACs."""
    return _parse(value, "an integer", "a whole number")


def _parse(value: object, what: str, whole_number: str) -> object:
    if not isinstance(value, str):
        return value
    match = _MACS_TEXT.fullmatch(value.strip()) if len(value) <= 32 else None
    if match is None:
        raise ValueError(f'must be {what} or a text such as "300M", "4.5M" or "800k"')
    whole, _, decimals = match[1].partition(".")
    scaled = int(whole + decimals) * _SUFFIXES[match[2]]  # integers only: 0.3M must not become 299999
    macs, rest = divmod(scaled, 10 ** len(decimals))
    if rest:
        raise ValueError(f"{value!r} is not {whole_number}")
    return macs


_AS_JSON = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MAX_MACS},
            {"type": "string", "pattern": _MACS_PATTERN},
        ]
    }
)
Macs = Annotated[int, BeforeValidator(parse_macs), Field(ge=1, le=MAX_MACS), _AS_JSON]
Amount = Annotated[int, BeforeValidator(parse_amount), Field(ge=1, le=MAX_MACS), _AS_JSON]
