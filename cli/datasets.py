"""`autonl dataset ...`: send data sets to the service, see what their check found, delete them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli.client import Client
from cli.errors import PackingError
from cli.options import AsJson, Url, connect, print_json, stop_on_error
from cli.packing import pack
from cli.render import dataset_report, dataset_table

POLL_S = 0.5
INVALID = 1  # exit code when a data set cannot be used

app = typer.Typer(help="Add, list, show and delete data sets.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="how searches call it")]


@app.command()
@stop_on_error
def add(
    name: Name,
    path: Annotated[Path, typer.Argument(help="zip archive or folder of class folders, here")],
    on_server: Annotated[
        bool, typer.Option("--on-server", help="PATH lies on the service's disk, and is read there, never copied")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="do not wait for the check")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Send a zip or folder of class folders to the service, and show what its check finds. Exit code 1: unusable."""
    console = Console(stderr=True, quiet=as_json)
    path = path.expanduser().absolute()
    with connect(url) as client:
        if on_server:
            dataset = client.register_dataset(name, path)
        else:
            with _progress(console) as progress:
                dataset = _send(client, name, path, progress)
        if not no_wait:
            dataset = _wait(client, dataset, console)
    _tell(dataset, as_json)


@app.command()
@stop_on_error
def show(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Show a data set, and what its check found. Exit code 1: it cannot be used."""
    with connect(url) as client:
        dataset = client.dataset(name)
    _tell(dataset, as_json)


@app.command()
@stop_on_error
def delete(name: Name, url: Url = None) -> None:
    """Forget a data set; what was uploaded is deleted, what lies elsewhere stays."""
    with connect(url) as client:
        client.delete_dataset(name)
    Console().print(Text(f"data set {name} is deleted"))


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


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=console.quiet)


def _send(client: Client, name: str, path: Path, progress: Progress) -> dict[str, Any]:
    if not path.exists():
        raise PackingError(f"There is nothing at {path}", ["if it lies on the service's disk, add --on-server"])
    if not path.is_dir():
        return _upload(client, name, path, progress)
    with tempfile.TemporaryDirectory(prefix="autonl-") as scratch:
        packed = Path(scratch) / "packed.zip"
        task = progress.add_task(f"packing {path.name}", total=None)
        pack(path, packed, lambda done, total: progress.update(task, completed=done, total=total))
        progress.remove_task(task)
        return _upload(client, name, packed, progress)


def _upload(client: Client, name: str, archive: Path, progress: Progress) -> dict[str, Any]:
    task: TaskID = progress.add_task(f"sending {name}", total=archive.stat().st_size)
    return client.upload_dataset(name, archive, lambda sent: progress.update(task, completed=sent))


def _wait(client: Client, dataset: dict[str, Any], console: Console) -> dict[str, Any]:
    """Look again and again until the check is over."""
    name = dataset["name"]
    with console.status(f"checking {name}") as status:
        while dataset["state"] == "checking":
            time.sleep(POLL_S)
            dataset = client.dataset(name)
            if dataset["progress"] is not None:
                status.update(f"checking {name}: {100 * dataset['progress']:.0f}%")
            else:
                status.update(f"{name} waits for a checker")
    return dataset


def _tell(dataset: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(dataset)
    else:
        Console().print(dataset_report(dataset))
    if dataset["state"] == "invalid":
        raise typer.Exit(INVALID)
