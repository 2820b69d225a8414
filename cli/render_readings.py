"""Renders the classes of a dataset, and the ways in which an ambiguous one can be read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

_SHOWN_CLASSES = 8
_SHOWN_COUNTS = 30


def class_counts(dataset: Mapping[str, Any]) -> Text | None:
    """Each class with its images for training and testing; None if there are none yet."""
    classes = (dataset["report"] or {}).get("classes") or []
    if not classes:
        return None
    shown = [f"{entry['name']} {entry['train']:,} + {entry['test']:,}" for entry in classes[:_SHOWN_COUNTS]]
    rest = len(classes) - len(shown)
    return Text(f"classes (training + test images): {', '.join(shown)}{f', and {rest:,} more' if rest else ''}")


def reading_choices(dataset: Mapping[str, Any]) -> Group | None:
    """Each reading with its classes, and the command that chooses it; None if there is nothing to choose."""
    readings = (dataset["report"] or {}).get("readings") or []
    if not readings:
        return None
    lines = [Text("\nHow should it be read?", style="bold")]
    for reading in readings:
        name = shlex.quote(dataset["name"])
        command = f"autonl dataset read {name} --layout {shlex.quote(reading['layout'])}"
        lines += [Text(f"  {command}", style="bold"), Text(f"      {_classes(reading)}")]
    return Group(*lines)


def _classes(reading: Mapping[str, Any]) -> str:
    classes = reading["classes"]
    shown = ", ".join(f"{entry['name']} ({entry['images']:,})" for entry in classes[:_SHOWN_CLASSES])
    rest = len(classes) - _SHOWN_CLASSES
    return f"{shown}, and {rest:,} more" if rest > 0 else shown
