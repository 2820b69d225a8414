"""The detail of an event as a line of text: figures with their units, and no brackets of a programming language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = {"pct": "%", "s": " s", "bytes": " bytes", "macs": " MACs"}  # by the last part of a name
_DIGITS = 4  # significant, of what is not a whole number


def detail_text(detail: Mapping[str, Any]) -> str:
    """`{"step": 3, "val_top1_pct": 71.234}` is `step 3, val top1 71.23%`; what is nested stands in parentheses."""
    return ", ".join(_pair(name, value) for name, value in detail.items())


def _pair(name: str, value: Any) -> str:
    words, _, unit = name.rpartition("_")
    if words and unit in _UNITS and _is_number(value):
        return f"{words.replace('_', ' ')} {_value(value)}{_UNITS[unit]}"
    return f"{name.replace('_', ' ')} {_value(value)}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return f"({detail_text(value)})"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.{_DIGITS}g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
