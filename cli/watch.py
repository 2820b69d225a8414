"""`autonl watch`: follows a search, as `autonl search --wait` does."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.text import Text

from cli.client import Client
from cli.live import follow_search
from cli.options import json_option, search_argument, stop_on_error, url_option
from cli.search_ids import full_id
from cli.searches import FAILED, show


@click.command()
@search_argument
@json_option
@url_option
@stop_on_error
def watch(search_id: str, as_json: bool, url: str) -> None:
    """Follow a search until it ends or is paused. Exit code 1 unless it succeeded."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        follow_to_end(client, search_id, as_json)


def follow_to_end(client: Client, search_id: str, as_json: bool) -> None:
    """Follow a search, those for its other budgets, and its repeats, and show each.

    With JSON on stdout, progress goes to stderr.
    """
    console = Console(stderr=as_json)
    details = _follow(client, search_id, console)
    show(client, details, as_json)
    states = [details["state"]]
    is_first = bool(details["budgets"]) and details["budgets"][0]["search_id"] == search_id
    others = details["budgets"][1:] if is_first else ()
    config = details["config"]  # as it was stored, perhaps by an earlier version
    if config.get("repeat", 1) > 1 and config.get("repeat_of") is None:
        others = [one for one in client.repeats(search_id)["searches"] if one["search_id"] != search_id]
    for other in others:
        if other["search_id"] is None:  # the first one ended before its shared weights had learned
            states.append("failed")
            continue
        if is_first:
            say_started(console, other["search_id"])
        ended = _follow(client, other["search_id"], console)
        show(client, ended, as_json)
        states.append(ended["state"])
    if set(states) != {"succeeded"}:
        raise click.exceptions.Exit(FAILED)


def say_started(console: Console, search_id: str) -> None:
    console.print(Text(f"search {search_id} started"), soft_wrap=True)


def _follow(client: Client, search_id: str, console: Console) -> dict[str, Any]:
    """`follow_search`, which Ctrl-C ends; the search does not end with it, and that is said."""
    try:
        return follow_search(client, search_id, console)
    except KeyboardInterrupt:
        ways_on = f"autonl watch {search_id} follows it, autonl cancel {search_id} stops it"
        console.print(Text(f"the search goes on: {ways_on}"), soft_wrap=True)
        raise
