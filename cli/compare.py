"""`autonl compare`: searches side by side."""

from __future__ import annotations

import click

from cli.client import Client
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.search_ids import full_id

LEAST_SEARCHES = 2


@click.command()
@click.argument(
    "search_ids", metavar="SEARCH SEARCH...", nargs=-1, required=True
)  # at most five: the service says how many it compares
@json_option
@url_option
@stop_on_error
def compare(search_ids: tuple[str, ...], as_json: bool, url: str) -> None:
    """Compare two to five searches: settings that differ, accuracy, cost, and the networks block by block."""
    if len(search_ids) < LEAST_SEARCHES:
        raise click.UsageError("name at least two searches, as in: autonl compare 9f2c a01b")
    with Client(url) as client:
        found = client.comparison([full_id(client, each) for each in search_ids])
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    from cli.render_comparison import comparison_tables

    Console().print(comparison_tables(found))
