"""Reading what another version stored: it may have more fields than this one knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known_fields(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `data` that are fields of the dataclass `kind`."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
