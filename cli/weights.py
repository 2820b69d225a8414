"""`autonl weights ...`: upload weights, show where they come from and what their check found, delete them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cli.client import Client
from cli.commands import FullHelpGroup
from cli.errors import PackingError
from cli.named_things import delete_command, list_command, show_command
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.packing import require_name
from cli.render_weights import weights_facts, weights_table
from cli.uploads import upload_progress, wait_for_check

REFUSED = 1  # exit code when weights cannot be used

name_argument = click.argument("name", metavar="NAME", help="name of the weight set")


@click.group(cls=FullHelpGroup)
def weights() -> None:
    """Add, list, show and delete weights that a network can start from."""


@weights.command()
@name_argument
@click.argument("path", type=click.Path(path_type=Path), help="checkpoint of AutoNL, other safetensors, or state dict")
@click.option("--arch", help="architecture, as in `autonl zoo`; needed unless the file or its shapes say it")
@click.option("--mean", help="three numbers, as 0.485,0.456,0.406: what was subtracted from pixels from 0 to 1")
@click.option("--std", help="three numbers, as 0.229,0.224,0.225: what they were then divided by")
@click.option("--source", help="where the weights come from")
@click.option("--licence", help="their licence")
@click.option("--top1", "top1_pct", type=float, help="published accuracy in percent")
@click.option("--no-wait", is_flag=True, help="return without waiting for the check")
@json_option
@url_option
@stop_on_error
def add(name: str, path: Path, no_wait: bool, as_json: bool, url: str, **stated: str | float | None) -> None:
    """Upload a file of weights, and show what its check finds. Exit code 1 if they cannot be used."""
    require_name(name)
    console = Console(stderr=True, quiet=as_json)
    path = path.expanduser().absolute()
    if not path.is_file():
        raise PackingError(f"{path} is not a file", ["give a file of weights: .safetensors, .pt or .pth"])
    with Client(url) as client:
        with upload_progress(console) as progress:
            task = progress.add_task(f"uploading {name}", total=path.stat().st_size)
            added: Mapping[str, Any] = client.upload_weights(
                name, path, lambda sent: progress.update(task, completed=sent), **stated
            )
        if not no_wait:
            added = wait_for_check(added, client.weights, console)
    _print_weights(added, as_json)


def _print_weights(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        Console().print(weights_facts(found))
    if found["state"] == "refused":
        raise click.exceptions.Exit(REFUSED)


weights.add_command(
    show_command(
        name_argument,
        Client.weights,
        _print_weights,
        "Show weights and what their check found. Exit code 1 if they cannot be used.",
    )
)
weights.add_command(delete_command(name_argument, "weights", Client.delete_weights, "Delete uploaded weights."))
weights.add_command(
    list_command(
        Client.list_weights, "weights", weights_table, "List weights, the built-in ones first, and their state."
    )
)
