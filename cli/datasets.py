"""`autonl dataset ...`: upload or register datasets, show what their dataset check found, delete them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.text import Text

from autonl_core.datasets.buckets.location import is_in_bucket
from cli.client import Client
from cli.commands import FullHelpGroup
from cli.correction_files import read_classes, read_names
from cli.errors import PackingError
from cli.named_things import delete_command, list_command, show_command
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.packing import pack, require_name
from cli.render import dataset_report, dataset_table
from cli.render_readings import class_counts, reading_choices
from cli.uploads import upload_progress, wait_for_check

INVALID = 1  # exit code when a dataset cannot be used

name_argument = click.argument("name", metavar="NAME", help="dataset name, as used in searches")
layout_option = click.option(
    "--layout",
    metavar="LAYOUT",
    help="which folder names the class, such as SPLIT/CLASS or */CLASS; or FILE.csv:COLUMN",
)
duplicates_option = click.option(
    "--duplicates",
    type=click.Choice(["leave-out", "keep"]),
    help="training images that show the same picture as a test image: leave them out (the default), or keep them",
)


@click.group(cls=FullHelpGroup)
def dataset() -> None:
    """Add, list, show and delete datasets."""


@dataset.command()
@name_argument
@click.argument("new_name", metavar="NEW", help="name of the corrected dataset")
@click.option("--leave-out", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="a text file with the name of one image per line")  # fmt: skip
@click.option("--relabel", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.csv",
              help="a table with the columns image and class")  # fmt: skip
@json_option
@url_option
@stop_on_error
def correct(name: str, new_name: str, leave_out: Path | None, relabel: Path | None, as_json: bool, url: str) -> None:
    """Make the dataset NEW of NAME, without some images or with other classes of some; NAME stays as it is."""
    images = read_names(leave_out) if leave_out else []
    classes = read_classes(relabel) if relabel else {}
    with Client(url) as client:
        _print_dataset(client.correct_dataset(name, new_name, images, classes), as_json)


@dataset.command()
@name_argument
@click.argument(
    "path",
    help="local zip archive or folder: class folders, or images with a file of labels; or s3://BUCKET/PREFIX",
)
@click.option("--on-server", is_flag=True, help="PATH is on the service's disk; it is read in place, never copied")
@layout_option
@duplicates_option
@click.option("--no-wait", is_flag=True, help="return without waiting for the dataset check")
@json_option
@url_option
@stop_on_error
def add(
    name: str,
    path: str,
    on_server: bool,
    layout: str | None,
    duplicates: str | None,
    no_wait: bool,
    as_json: bool,
    url: str,
) -> None:
    """Add a zip archive or folder of class folders, and show what the dataset check finds. Exit code 1 if unusable.

    The service fetches what is in a bucket; it has to be allowed to (AUTONL_DATASET_BUCKETS).
    """
    reading = _reading(layout, duplicates)
    console = Console(stderr=True, quiet=as_json)
    require_name(name)
    in_bucket = is_in_bucket(path)
    local = Path(path).expanduser().absolute()
    dataset: Mapping[str, Any]
    with Client(url) as client:
        if on_server or in_bucket:
            dataset = client.register_dataset(name, path if in_bucket else str(local), **reading)
        else:
            with upload_progress(console) as progress:
                dataset = _pack_and_upload(client, name, local, reading, progress)
        if not no_wait:
            dataset = wait_for_check(dataset, client.dataset, console)
    _print_dataset(dataset, as_json)


@dataset.command()
@name_argument
@layout_option
@duplicates_option
@json_option
@url_option
@stop_on_error
def read(name: str, layout: str | None, duplicates: str | None, as_json: bool, url: str) -> None:
    """Choose how an unusable dataset is read, and check it again, without another upload. Exit code 1 if unusable."""
    console = Console(stderr=True, quiet=as_json)
    with Client(url) as client:
        dataset = client.read_dataset(name, **_reading(layout, duplicates))
        dataset = dict(wait_for_check(dataset, client.dataset, console))
    _print_dataset(dataset, as_json)


def _reading(layout: str | None, duplicates: str | None) -> dict[str, str]:
    """How the files are to be read, as far as the user says so."""
    given = {"layout": layout, "duplicates": duplicates}
    return {name: value for name, value in given.items() if value is not None}


def _pack_and_upload(
    client: Client, name: str, path: Path, reading: Mapping[str, str], progress: Progress
) -> dict[str, Any]:
    if not path.exists():
        raise PackingError(f"{path} does not exist", ["if it is on the service's disk, add --on-server"])
    if not path.is_dir():
        return _upload(client, name, path, reading, progress)
    with tempfile.TemporaryDirectory(prefix="autonl-") as scratch:
        packed = Path(scratch) / "packed.zip"
        task = progress.add_task(f"packing {path.name}", total=None)
        left_out = pack(path, packed, lambda done, total: progress.update(task, completed=done, total=total))
        progress.remove_task(task)
        if left_out:
            progress.console.print(Text(f"left out as hidden or written by the system: {', '.join(left_out)}"))
        return _upload(client, name, packed, reading, progress)


def _upload(client: Client, name: str, archive: Path, reading: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    task: TaskID = progress.add_task(f"uploading {name}", total=archive.stat().st_size)
    return client.upload_dataset(name, archive, lambda sent: progress.update(task, completed=sent), **reading)


def _print_dataset(dataset: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(dataset)
    else:
        Console().print(dataset_report(dataset))
        if (counts := class_counts(dataset)) is not None:
            Console().print(counts)
        if (choices := reading_choices(dataset)) is not None:
            Console().print(choices)
        if dataset["state"] == "ready":
            Console().print(
                Text(f"search on it with: autonl search -d {dataset['name']} -b MACS, such as 40M", style="dim")
            )
    if dataset["state"] == "invalid":
        raise click.exceptions.Exit(INVALID)


dataset.add_command(
    show_command(
        name_argument,
        Client.dataset,
        _print_dataset,
        "Show a dataset and what its check found. Exit code 1 if it is unusable.",
    )
)
dataset.add_command(
    delete_command(
        name_argument,
        "dataset",
        Client.delete_dataset,
        "Delete a dataset: uploaded images are removed; a folder or archive registered in place is left untouched.",
    )
)
dataset.add_command(list_command(Client.datasets, "datasets", dataset_table, "List datasets and their state."))
