"""The commands that show and stop searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from cli import render
from cli.client import Client
from cli.options import json_option, labels_of, print_json, search_argument, stop_on_error, url_option
from cli.render_search import labels_text, saved_text, search_facts
from cli.search_ids import full_id

FAILED = 1  # exit code when a search has not succeeded
STDOUT = Console()


@click.command()
@search_argument
@json_option
@url_option
@stop_on_error
def status(search_id: str, as_json: bool, url: str) -> None:
    """Show the current state of a search. Exit code 1 if it failed."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        details = client.search(search_id)
        show(client, details, as_json)
    if details["state"] == "failed":
        raise click.exceptions.Exit(FAILED)


@click.command("list")
@click.option("--state", help="only searches in this state")
@click.option("--dataset", help="only searches on this dataset")
@click.option("--label", metavar="KEY:VALUE", help="only searches with this label")
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    default=50,
    show_default=True,
    help="maximum number of searches to list",
)
@json_option
@url_option
@stop_on_error
def list_searches(
    state: str | None, dataset: str | None, label: str | None, limit: int, as_json: bool, url: str
) -> None:
    """List searches, newest first."""
    with Client(url) as client:
        page = client.searches(state=state, dataset=dataset, label=label, page_size=limit)
    if as_json:
        print_json(page)
    elif page["searches"]:
        STDOUT.print(render.search_table(page["searches"]))
    else:
        STDOUT.print("no searches")


@click.command()
@search_argument
@json_option
@url_option
@stop_on_error
def cancel(search_id: str, as_json: bool, url: str) -> None:
    """Cancel a search; the best architecture found so far is kept, with a checkpoint."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        _print_state(client.cancel(search_id), as_json)


@click.command()
@search_argument
@json_option
@url_option
@stop_on_error
def pause(search_id: str, as_json: bool, url: str) -> None:
    """Pause a search: it saves its run state and frees its worker until `resume`."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        _print_state(client.pause(search_id), as_json)


@click.command()
@search_argument
@click.option("--max-compute-s", type=float, help="CPU seconds that it may use from now on, over all attempts")
@json_option
@url_option
@stop_on_error
def resume(search_id: str, max_compute_s: float | None, as_json: bool, url: str) -> None:
    """Resume a paused, failed or cancelled search from its last run state."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        _print_state(client.resume(search_id, max_compute_s), as_json)


@click.command()
@search_argument
@click.argument("labels", metavar="[KEY:VALUE]...", nargs=-1)
@click.option("--remove", "removed", metavar="KEY", multiple=True, help="label to remove; repeatable")
@json_option
@url_option
@stop_on_error
def label(search_id: str, labels: tuple[str, ...], removed: tuple[str, ...], as_json: bool, url: str) -> None:
    """Set and remove labels of a search, in whatever state it is; others stay."""
    changes: dict[str, str | None] = {**dict.fromkeys(removed), **labels_of(labels)}
    if not changes:
        raise click.UsageError("name a label to set, as in team:x, or one to remove, as in --remove team")
    with Client(url) as client:
        details = client.change_labels(full_id(client, search_id), changes)
    if as_json:
        print_json(details)
    else:
        STDOUT.print(Text(f"search {details['id']}: {labels_text(details['labels']) or 'no labels'}"))


@click.command()
@search_argument
@url_option
@stop_on_error
def delete(search_id: str, url: str) -> None:
    """Delete a search that has ended, with all of its files."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        client.delete_search(search_id)
    STDOUT.print(Text(f"search {search_id} deleted"))


@click.command()
@search_argument
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="only events after this sequence number",
)
@json_option
@url_option
@stop_on_error
def events(search_id: str, after: int, as_json: bool, url: str) -> None:
    """Show the event log of a search, oldest event first."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        log = client.events(search_id, after)
    if as_json:
        print_json(log)
    else:
        STDOUT.print(render.event_table(log["events"]))


def show(client: Client, details: Mapping[str, Any], as_json: bool) -> None:
    """Print a search, and its best architecture if there is one."""
    if as_json:
        print_json(details)
        return
    STDOUT.print(search_facts(details))
    if details["best"]:
        STDOUT.print()
        architecture = client.architecture(details["best"]["arch_id"], details["id"])
        times_ms = (details["result"] or {}).get("layer_times_ms")  # services of earlier versions have none
        STDOUT.print(render.architecture_drawing(architecture, times_ms))


def _print_state(details: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(details)
    else:
        saved = f": {saved_text(details)}" if details["state"] == "paused" else ""
        STDOUT.print(Text(f"{details['id']} is {details['state']}{saved}"))
