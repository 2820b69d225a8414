"""`autonl report`: downloads the report of a search."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from autonl_core.spec.file_names import report_name
from cli.client import Client
from cli.options import search_argument, stop_on_error, url_option
from cli.search_ids import full_id

NAMES = {"html": "html", "md": "markdown"}  # of the formats: here and in a file name, in the API


@click.command()
@search_argument
@click.option(
    "--format",
    "-f",
    "report_format",
    type=click.Choice(tuple(NAMES)),
    default="html",
    show_default=True,
    help="html: a single file with figures; md: Markdown tables",
)
@click.option(
    "--output", "-o", "target", type=click.Path(path_type=Path), help="file to write (default: after the search)"
)
@url_option
@stop_on_error
def report(search_id: str, report_format: str, target: Path | None, url: str) -> None:
    """Download the report of a search, verified by its SHA-256: the network, its accuracy, and how it was found."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        target = target or Path(report_name(client.search(search_id)["dataset"], search_id, report_format))
        client.download(f"/searches/{search_id}/report?format={NAMES[report_format]}", target)
    Console().print(Text(f"{target} ({target.stat().st_size:,} bytes)"), soft_wrap=True)
