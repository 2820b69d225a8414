"""Renders weight sets for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render import fact_table, pct, plain_table, short_macs

_SHOWN_TENSORS = 20


def weights_table(listed: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One row per weight set, with its name in full: that is what other commands take."""
    table = plain_table()
    table.add_column("name", no_wrap=True)
    for title in ("origin", "state"):
        table.add_column(title)
    for title in ("classes", "pixels", "top-1", "MB"):
        table.add_column(title, justify="right")
    table.add_column("licence")
    for weights in listed:
        numbers = ("" if weights[name] is None else f"{weights[name]:,}" for name in ("num_classes", "resolution"))
        size = f"{weights['size_bytes'] / 1e6:.1f}"
        words = (weights["name"], weights["origin"], weights["state"])
        table.add_row(*words, *numbers, pct(weights["top1_pct"], 1), size, Text(weights["licence"] or ""))
    return table


def weights_facts(weights: Mapping[str, Any]) -> RenderableType:
    """Where weights come from and what they hold, or why they are refused."""
    head = Text(weights["name"], style="bold").append(f": {weights['state']}, {weights['origin']}", style="")
    facts: list[tuple[str, RenderableType]] = [
        (name, Text(str(weights[key]))) for name, key in _FACTS if weights[key] is not None
    ]
    if (normalisation := weights["normalisation"]) is not None:
        channels = (f"{name} {', '.join(f'{value:.3g}' for value in normalisation[name])}" for name in ("mean", "std"))
        facts.append(("pixels", ", ".join(channels)))
    if (held := weights["architecture"]) is not None:
        facts.append(("arch id", held["arch_id"]))
        facts.append(("arch string", Text(held["arch_string"])))
        facts.append(("MACs", f"{short_macs(held['macs'])}, {held['params']:,} parameters"))
    return Group(
        head, fact_table(facts), *(line for problem in weights["problems"] for line in _problem_lines(problem))
    )


_FACTS = (
    ("network", "network"),
    ("classes", "num_classes"),
    ("resolution", "resolution"),
    ("source", "source"),
    ("licence", "licence"),
    ("top-1, %", "top1_pct"),
    ("format", "format"),
    ("SHA-256", "sha256"),
)


def _problem_lines(problem: Mapping[str, Any]) -> list[RenderableType]:
    shown = problem["tensors"][:_SHOWN_TENSORS]
    lines: list[RenderableType] = [Text(problem["code"], style="bold red"), Text(f"  {problem['detail']}")]
    lines += [Text(f"    {tensor}", style="dim") for tensor in shown]
    if len(shown) < len(problem["tensors"]):
        lines.append(Text(f"    and {len(problem['tensors']) - len(shown):,} more; --json lists all", style="dim"))
    return lines
