"""`autonl`: the command-line application, assembled from its commands."""

from __future__ import annotations

import typer

from cli import datasets, reports, searches
from cli.up import up
from cli.zoo import zoo

app = typer.Typer(
    name="autonl",
    help="Search for image classifiers that fit a MACs budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(searches.search)
app.command()(searches.status)
app.command()(searches.watch)
app.command("list")(searches.list_searches)
app.command()(searches.events)
app.command()(searches.cancel)
app.command()(searches.pause)
app.command()(searches.resume)
app.command()(searches.download)
app.command()(reports.report)
app.command()(zoo)
app.add_typer(datasets.app, name="dataset")

if __name__ == "__main__":
    app()
