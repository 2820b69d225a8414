"""`autonl trade-off`: what accuracy costs, by the networks that a search measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.client import Client
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.render import pct, plain_table, short_macs


@click.command("trade-off")
@search_argument
@click.option("--all", "show_all", is_flag=True, help="every measured network, not only the front and the results")
@json_option
@url_option
@stop_on_error
def trade_off(search_id: str, show_all: bool, as_json: bool, url: str) -> None:
    """Show what accuracy costs: the networks that a search measured, of all of its budgets."""
    with Client(url) as client:
        found = client.trade_off(search_id)
    networks = found["networks"]
    if as_json:
        print_json(found)
    elif networks:
        Console().print(_table([one for one in networks if show_all or one["on_front"] or one["chosen"]]))
    else:
        Console().print("no network yet: none of its searches has succeeded, or an earlier version made them")


def _table(networks: Sequence[Mapping[str, Any]]) -> Table:
    """Few MACs first; a star marks the front."""
    table = plain_table()
    for title in ("", "MACs", "params", "peak memory", "origin", "shared", "final", "test", "arch string"):
        table.add_column(title, no_wrap=title != "arch string", overflow="fold")
    for network in networks:
        table.add_row(
            "*" if network["on_front"] else "",
            short_macs(network["macs"]),
            short_macs(network["params"]),
            f"{network['peak_activation_bytes'] / 1024:,.0f} KiB",
            network["origin"],
            pct(network["val_top1_pct"]),
            pct(network["final_val_top1_pct"]),
            pct(network["test_top1_pct"]),
            network["arch_string"],
        )
    return table
