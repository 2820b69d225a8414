"""`autonl repeats`: how far the results of a repeated search spread, and what they agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client import Client
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.render import pct, plain_table, short_macs
from cli.search_ids import full_id

_LEGEND = "k: kernel, e: expansion, nl: LightNL with its ratio of channels and its stride, ×: how many results have it"


@click.command()
@search_argument
@json_option
@url_option
@stop_on_error
def repeats(search_id: str, as_json: bool, url: str) -> None:
    """Show how far the results of a repeated search spread."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        found = client.repeats(search_id)
    if as_json:
        print_json(found)
        return
    console = Console()
    console.print(_searches(found))
    if found["test_top1_pct"] is None:
        console.print("no result yet: none of them has succeeded")
        return
    console.print(_spread(found["test_top1_pct"]))
    console.print(_options(found))
    console.print(Text(_LEGEND, style="dim"))


def _searches(found: Mapping[str, Any]) -> Table:
    table = plain_table()
    for title in ("search", "seed", "state", "MACs", "test top-1"):
        table.add_column(title, no_wrap=True)
    for one in found["searches"]:
        macs = "-" if one["macs"] is None else short_macs(one["macs"])
        table.add_row(one["search_id"], str(one["seed"]), one["state"], macs, pct(one["test_top1_pct"]))
    return table


def _spread(spread: Mapping[str, Any]) -> str:
    if spread["interval"] is None:
        return f"test top-1 {pct(spread['mean'])}, of a single result"
    low, high = spread["interval"]
    return (
        f"test top-1 {pct(spread['mean'])} in the mean of {spread['count']} (95% interval {pct(low)} to {pct(high)}), "
        f"from {pct(spread['lowest'])} to {pct(spread['highest'])}, standard deviation {spread['deviation']:.2f} points"
    )


def _options(found: Mapping[str, Any]) -> Table:
    """One row for every place in the network, the options that won there with how often."""
    by_place: dict[tuple[int, int], list[str]] = {}
    for won in found["options"]:
        by_place.setdefault((won["stage"], won["block"]), []).append(f"{won['option']} ×{won['count']}")
    table = plain_table()
    for title in ("stage", "block", "options"):
        table.add_column(title, no_wrap=title != "options", overflow="fold")
    for (stage, block), options in by_place.items():
        table.add_row(str(stage), str(block), ", ".join(options))
    return table
