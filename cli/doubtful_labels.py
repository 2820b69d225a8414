"""`autonl doubtful-labels`: images of the dataset that are perhaps labelled wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cli.client import Client
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.render import pct, plain_table
from cli.search_ids import full_id

_SHOWN = 30


@click.command("doubtful-labels")
@search_argument
@click.option("--all", "show_all", is_flag=True, help=f"the whole list, not only the first {_SHOWN}")
@json_option
@url_option
@stop_on_error
def doubtful_labels(search_id: str, show_all: bool, as_json: bool, url: str) -> None:
    """List images that are perhaps labelled wrong: to the network, another class is more probable."""
    with Client(url) as client:
        found = client.doubtful_labels(full_id(client, search_id))
    labels = found["labels"]
    if as_json:
        print_json(found)
        return
    shown = labels if show_all else labels[:_SHOWN]
    hidden = len(labels) - len(shown)
    legend = f"{len(labels):,} of {found['images']:,} images are listed{f'; {hidden:,} more: --all' if hidden else ''}"
    Console().print(Group(_table(shown), Text(), Text(legend, style="dim")), soft_wrap=True)


def _table(labels: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each, with what the network gives to both classes."""
    table = plain_table()
    for title in ("image", "split", "label", "%", "looks like", "%"):
        table.add_column(title, no_wrap=True, justify="right" if title == "%" else "left")
    for one in labels:
        table.add_row(
            Text(one["image"]),
            one["split"],
            Text(one["label"]),
            pct(one["label_pct"]),
            Text(one["looks_like"]),
            pct(one["looks_like_pct"]),
        )
    return table
