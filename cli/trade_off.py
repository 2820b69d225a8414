"""`autonl trade-off`: what accuracy costs, by the networks that a search measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cli.client import Client
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.render import pct, plain_table, short_macs
from cli.search_ids import full_id


@click.command("trade-off")
@search_argument
@click.option("--all", "show_all", is_flag=True, help="every measured network, not only the front and the results")
@json_option
@url_option
@stop_on_error
def trade_off(search_id: str, show_all: bool, as_json: bool, url: str) -> None:
    """Show what accuracy costs: the networks that a search measured, of all of its budgets."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        found = client.trade_off(search_id)
    networks = found["networks"]
    if as_json:
        print_json(found)
    elif networks:
        shown = [one for one in networks if show_all or one["on_front"] or one["chosen"]]
        Console().print(Group(_table(shown), Text(), *(Text(line, style="dim") for line in _legend(networks, shown))))
    else:
        Console().print(
            "no network yet: they are listed once one of its searches has succeeded; early versions stored none"
        )


def _legend(networks: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the marks and columns mean, and what is not shown."""
    hidden = len(networks) - len(shown)
    return [
        "*       on the front: none with fewer MACs is as accurate",
        ">       the result for a budget",
        "memory  of the activations of one image, at their peak",
        "origin  by_scores, by_slopes: by the search; drawn, random: by chance; others: to compare with",
        "shared  validation accuracy with weights that all share, before training",
        "final   validation accuracy of the best ones after a short training",
        "test    test accuracy, of results only",
        *([f"{hidden:,} more {'network was' if hidden == 1 else 'networks were'} measured: --all"] if hidden else []),
        "Architectures are in --json; `autonl status` draws that of a result.",
    ]


def _table(networks: Sequence[Mapping[str, Any]]) -> Table:
    """Few MACs first, a line for each."""
    table = plain_table()
    for title in ("", "MACs", "params", "memory", "origin", "shared", "final", "test"):
        table.add_column(title, no_wrap=True, justify="left" if title in ("", "origin") else "right")
    for network in networks:
        table.add_row(
            ("*" if network["on_front"] else "") + (">" if network["chosen"] else ""),
            short_macs(network["macs"]),
            short_macs(network["params"]),
            f"{network['peak_activation_bytes'] / 1024:,.0f} KiB",
            network["origin"],
            pct(network["val_top1_pct"]),
            pct(network["final_val_top1_pct"]),
            pct(network["test_top1_pct"]),
        )
    return table
