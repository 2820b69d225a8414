"""`autonl architecture-history`: how the network that a search would derive changed over its epochs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from autonl_core.spec.architecture_history import first_middle_last
from cli.client import Client
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.render import pct, plain_table, short_macs
from cli.search_ids import full_id

Document = Mapping[str, Any]
_LEGEND = "k: kernel, e: expansion, NL: LightNL with ratio and stride (s); *: another option than in the column before"


@click.command("architecture-history")
@search_argument
@click.option("--gates", "show_gates", is_flag=True, help="also how likely every gate was open")
@json_option
@url_option
@stop_on_error
def architecture_history(search_id: str, show_gates: bool, as_json: bool, url: str) -> None:
    """Show how gates, options and the derived network changed over the epochs of a search."""
    with Client(url) as client:
        found = client.architecture_history(full_id(client, search_id))
    if as_json:
        print_json(found)
    else:
        Console().print(*_parts(found, show_gates), sep="\n")


def _parts(found: Document, show_gates: bool) -> Iterator[RenderableType]:
    """The note, the options, when they changed, and the gates."""
    if found["note"] is not None:
        yield Text(found["note"])
    if not found["epochs"]:
        return
    shown = _shown(found)
    yield _options(found, shown)
    yield Text(_LEGEND, style="dim")
    changes = _changes(found)
    if changes.row_count:
        yield Text("\nWhat changed when", style="bold")
        yield changes
    if show_gates:
        yield Text("\nHow likely gates were open", style="bold")
        yield _gates(found, [entry for entry in shown if entry["epoch"] is not None])


def _shown(found: Document) -> list[Document]:
    """The first, the middle and the last epoch, and what was derived."""
    derived = [found["derived"]] if found["derived"] is not None else []
    return [*first_middle_last(found["epochs"]), *derived]


def _title(entry: Document) -> str:
    return "derived" if entry["epoch"] is None else f"epoch {entry['epoch']}"


def _table(first: str, second: str, entries: Sequence[Document]) -> Table:
    table = plain_table()
    table.add_column(first, justify="right", no_wrap=True)
    table.add_column(second, no_wrap=True)
    for entry in entries:
        table.add_column(_title(entry), overflow="fold")
    return table


def _options(found: Document, entries: Sequence[Document]) -> Table:
    """A line for each position, then what the networks cost and how accurate they are."""
    table = _table("position", "", entries)
    for number, place in enumerate(found["positions"]):
        chosen = [entry["options"][number] for entry in entries]
        names = [place["options"][option]["name"] for option in chosen]
        marks = ["", *("*" if new != old else "" for old, new in itertools.pairwise(chosen))]
        cells = (Text(name + mark) for name, mark in zip(names, marks, strict=True))
        table.add_row(str(place["position"]), Text(place["place"], style="dim"), *cells)
    table.add_row("", "MACs", *(short_macs(entry["macs"]) for entry in entries))
    table.add_row("", "validation", *(pct(entry["val_top1_pct"]) for entry in entries))
    return table


def _changes(found: Document) -> Table:
    """A line for each position at which an entry differs from the one before."""
    entries = [*found["epochs"], *([found["derived"]] if found["derived"] is not None else [])]
    table = plain_table()
    for title in ("when", "position", "from", "to"):
        table.add_column(title, no_wrap=True)
    for before, entry in itertools.pairwise(entries):
        for position in entry["changed"]:
            options = found["positions"][position - 1]["options"]
            old, new = (options[each["options"][position - 1]]["name"] for each in (before, entry))
            table.add_row(_title(entry), str(position), Text(old), Text(new))
    return table


def _gates(found: Document, epochs: Sequence[Document]) -> Table:
    table = _table("position", "gate", epochs)
    for number, gate in enumerate(found["gates"]):
        likely = (entry["gates"][number] for entry in epochs)
        cells = ("-" if value is None else f"{100 * value:.0f}%" for value in likely)
        table.add_row(str(gate["position"]), Text(gate["title"]), *cells)
    return table
