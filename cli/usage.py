"""`autonl usage`: what a tenant used by day, uses now, and may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.client import Client
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.render import plain_table

_NOW = {"queued": "queued searches", "running": "running searches", "stored_bytes": "bytes stored"}
_NOW |= {"event_streams": "open event streams"}


@click.command()
@click.option("--from", "first", metavar="DAY", help="first day in UTC, as in 2026-01-31; default: 29 days before --to")
@click.option("--to", "last", metavar="DAY", help="last day in UTC; default: today")
@json_option
@url_option
@stop_on_error
def usage(first: str | None, last: str | None, as_json: bool, url: str) -> None:
    """Show CPU seconds, searches and bytes by day, what is in use now, and the limits."""
    with Client(url) as client:
        found = client.usage(first, last)
    if as_json:
        print_json(found)
        return
    console = Console()
    console.print(_days(found))
    console.print(_limits(found))


def _days(found: Mapping[str, Any]) -> Table:
    """One row for each day with any usage, and their sum."""
    table = plain_table()
    for title in ("day", "CPU seconds", "searches", "bytes added"):
        table.add_column(title, no_wrap=True, justify="left" if title == "day" else "right")
    for day in [*found["days"], {"day": "sum", **found["total"]}]:
        table.add_row(day["day"], f"{day['compute_s']:,.1f}", f"{day['searches']:,}", f"{day['added_bytes']:,}")
    return table


def _limits(found: Mapping[str, Any]) -> Table:
    """What is in use now beside its limit; then the limits of what a day or a month uses."""
    table = plain_table()
    for title in ("", "now", "limit"):
        table.add_column(title, no_wrap=True, justify="right" if title else "left")
    for name, words in _NOW.items():
        table.add_row(words, f"{found['now'][name]:,}", _limit(found["limits"][name]))
    for name, words in (("compute_s_per_day", "CPU seconds a day"), ("compute_s_per_month", "CPU seconds a month")):
        table.add_row(words, "", _limit(found["limits"][name]))
    table.add_row("highest priority", "", str(found["limits"]["priority"]))
    return table


def _limit(value: int) -> str:
    return f"{value:,}" if value else "none"
