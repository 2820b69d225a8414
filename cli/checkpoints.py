"""`autonl download`: downloads the network of a search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from autonl_core.spec.file_names import network_name
from autonl_core.spec.formats import FILE_FORMATS, FORMATS, FileFormat
from cli.client import Client
from cli.errors import ApiError
from cli.live import progress_bar
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.search_ids import full_id

format_option = click.option(
    "--format",
    "-f",
    "file_format",
    type=click.Choice(FILE_FORMATS),
    default="safetensors",
    show_default=True,
    help="file format to download",
)
output_option = click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="file to write")


@click.command()
@search_argument
@format_option
@output_option
@json_option
@url_option
@stop_on_error
def download(search_id: str, file_format: FileFormat, target: Path | None, as_json: bool, url: str) -> None:
    """Download the network of a search, verified by its SHA-256. Run it again to continue an interrupted download."""
    with Client(url) as client:
        search_id = full_id(client, search_id)
        details = client.search(search_id)
        target, sha256 = fetch_checkpoint(client, details, target, file_format)
    print_downloaded(target, sha256, as_json)


def fetch_checkpoint(
    client: Client, search: Mapping[str, Any], target: Path | None, file_format: FileFormat = "safetensors"
) -> tuple[Path, str]:
    """Download the checkpoint of a search; returns the file and its SHA-256. Raises ApiError if there is none."""
    link = search["links"].get("checkpoint")
    if link is None:
        way_out = "it is available once the search has succeeded; pausing or cancelling keeps the best network so far"
        reason = way_out if search["error"] is None else search["error"]["detail"]
        raise ApiError(f"Search {search['id']} is {search['state']} and has no checkpoint", [reason])
    name = network_name(search["dataset"], search["best"]["arch_id"])
    return fetch_file(client, f"{link}&format={file_format}", name, target, file_format)


def fetch_file(client: Client, link: str, name: str, target: Path | None, file_format: FileFormat) -> tuple[Path, str]:
    """Download what a link leads to; returns the file, by default `name` in the current folder, and its SHA-256."""
    target = target or Path(f"{name}{FORMATS[file_format].ending}")
    with progress_bar(Console(stderr=True), target.name) as on_progress:
        return target, client.download(link, target, on_progress)


def print_downloaded(target: Path, sha256: str, as_json: bool) -> None:
    """Say where a file is now, and what it is."""
    if as_json:
        print_json({"path": str(target), "sha256": sha256, "size_bytes": target.stat().st_size})
    else:
        Console().print(Text(f"{target} ({target.stat().st_size:,} bytes, SHA-256 {sha256})"), soft_wrap=True)
