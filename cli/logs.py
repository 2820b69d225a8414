"""`autonl logs`: what the attempts of a search printed."""

from __future__ import annotations

import click

from cli.client import Client
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.search_ids import full_id


@click.command()
@search_argument
@click.option("--attempt", type=click.IntRange(min=1), help="only this attempt, as `autonl status` numbers them")
@click.option(
    "--tail",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    help="lines from the end of each log",
)
@json_option
@url_option
@stop_on_error
def logs(search_id: str, attempt: int | None, tail: int, as_json: bool, url: str) -> None:
    """Show the end of what each attempt of a search printed."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        found = client.logs(search_id, attempt=attempt, tail=tail)
    if as_json:
        print_json(found)
        return
    several = len(found["logs"]) > 1
    if not found["logs"]:
        click.echo("no worker has begun this search" if attempt is None else f"no attempt {attempt}", err=True)
    for log in found["logs"]:
        if several:
            click.secho(f"attempt {log['attempt']}", bold=True)
        for line in log["lines"]:
            click.echo(line)
        if not log["lines"]:
            hint = f"`autonl events {search_id}` shows what happened"
            click.echo(f"attempt {log['attempt']} printed nothing; {hint}", err=True)
