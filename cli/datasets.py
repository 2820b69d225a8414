"""The commands about data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.options import AsJson, Url, connect, print_json, stop_on_error
from cli.render import dataset_table

app = typer.Typer(help="Register and list data sets.", no_args_is_help=True)


@app.command()
@stop_on_error
def add(
    name: Annotated[str, typer.Argument(help="how searches will call it")],
    path: Annotated[Path, typer.Argument(help="folder or zip of class folders, on the service's disk")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Register a folder or zip of class folders. It is read where it lies."""
    with connect(url) as client:
        dataset = client.add_dataset(name, path.expanduser().absolute())
    if as_json:
        print_json(dataset)
        return
    counts = f"{dataset['train_images']:,} training and {dataset['test_images']:,} test images"
    Console().print(Text(f"{name}: {counts} in {len(dataset['classes'])} classes, {dataset['image_size']} pixels"))


@app.command("list")
@stop_on_error
def list_datasets(as_json: AsJson = False, url: Url = None) -> None:
    """List the data sets that can be searched on."""
    with connect(url) as client:
        answer = client.datasets()
    if as_json:
        print_json(answer)
    else:
        Console().print(dataset_table(answer["datasets"]))
