"""Renders models for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cli.render import pct, plain_table, short_macs

_FACTS = ("search", "dataset", "top-1", "MACs")


def aliases_table(models: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One row per alias: what it stands for."""
    table = plain_table()
    for title in ("alias", *_FACTS, "promoted", "note"):
        table.add_column(title, justify="right" if title in ("top-1", "MACs") else "left")
    for model in models:
        for one in model["aliases"]:
            table.add_row(f"{one['model']}@{one['alias']}", *_facts(one), _day(one), Text(one["note"]))
    return table


def history_table(model: Mapping[str, Any]) -> RenderableType:
    """One row per promotion of a model, the newest first."""
    table = plain_table()
    table.add_column("", no_wrap=True)
    table.add_column("no.", justify="right")
    for title in ("alias", *_FACTS, "promoted", "note"):
        table.add_column(title, justify="right" if title in ("top-1", "MACs") else "left")
    for one in model["history"]:
        how = f"back to no. {one['restores']}" if one["restores"] else ""
        note = "; ".join(part for part in (how, one["note"]) if part)
        current = "now" if one["is_current"] else ""
        table.add_row(current, str(one["number"]), one["alias"], *_facts(one), _day(one), Text(note))
    return table


def promoted_line(promotion: Mapping[str, Any]) -> RenderableType:
    """What an alias stands for from now on."""
    name = f"{promotion['model']}@{promotion['alias']}"
    facts = f"{pct(promotion['test_top1_pct'])} top-1, {short_macs(promotion['macs'])} MACs"
    return Text(f"{name} stands for search {promotion['search_id']} ({facts}; promotion {promotion['number']})")


def _facts(promotion: Mapping[str, Any]) -> tuple[str, str, str, str]:
    gone = promotion["dataset"] is None
    search = promotion["search_id"] + (" (deleted)" if gone else "")
    return search, promotion["dataset"] or "", pct(promotion["test_top1_pct"]), short_macs(promotion["macs"])


def _day(promotion: Mapping[str, Any]) -> str:
    return str(promotion["promoted_at"])[:16].replace("T", " ")
