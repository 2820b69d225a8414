"""The commands that start, show and stop searches, and download their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.text import Text

from autonl_core.spec.config import ALGORITHM_NAMES
from autonl_core.spec.formats import FORMATS, FileFormat
from autonl_core.spec.space_families import SPACES
from cli import render
from cli.client import Client
from cli.errors import ApiError, CommandError
from cli.live import follow_search, progress_bar
from cli.options import AsJson, Url, connect, print_json, stop_on_error

FAILED = 1  # exit code when a search has not succeeded
STDOUT = Console()
STDERR = Console(stderr=True)

SearchSpace = Annotated[str | None, typer.Option(help=f"{', '.join(SPACES.names())} (default: by resolution)")]
Algorithm = Annotated[str | None, typer.Option(help=f"{', '.join(ALGORITHM_NAMES)} (default: autonl)")]
SearchId = Annotated[str, typer.Argument(metavar="SEARCH", help="search id")]


@stop_on_error
def search(
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="dataset name, see `autonl dataset list`")
    ] = None,
    budget: Annotated[str | None, typer.Option("--budget", "-b", help="most MACs per image, e.g. 300M or 450k")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", exists=True, dir_okay=False, help="YAML or JSON search request"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="the same seed reproduces a search exactly")] = None,
    resolution: Annotated[int | None, typer.Option(help="image size in pixels (default: the dataset's own)")] = None,
    space: SearchSpace = None,
    algorithm: Algorithm = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="published network to train at the same MACs for comparison; repeatable")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="follow the search until it ends")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Start a search. With --wait, exit code 1 unless it succeeded."""
    body = _read_config(config)
    options: dict[str, Any] = {"dataset": dataset, "flops_budget": budget, "seed": seed, "resolution": resolution}
    options |= {"search_space": space, "algorithm": algorithm, "baselines": baseline or None}
    body |= {name: value for name, value in options.items() if value is not None}
    with connect(url) as client:
        started = client.start_search(body)
        if wait:
            _follow_to_end(client, started["id"], as_json)
        elif as_json:
            print_json(started)
        else:
            STDOUT.print(Text(f"{started['id']} is {started['state']}; follow it with: autonl watch {started['id']}"))


@stop_on_error
def status(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Show the current state of a search. Exit code 1 if it failed."""
    with connect(url) as client:
        details = client.search(search_id)
        _show(client, details, as_json)
    if details["state"] == "failed":
        raise typer.Exit(FAILED)


@stop_on_error
def watch(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Follow a search until it ends or is paused. Exit code 1 unless it succeeded."""
    with connect(url) as client:
        _follow_to_end(client, search_id, as_json)


@stop_on_error
def list_searches(
    state: Annotated[str | None, typer.Option(help="only searches in this state")] = None,
    dataset: Annotated[str | None, typer.Option(help="only searches on this dataset")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="maximum number of searches to list")] = 50,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List searches, newest first."""
    with connect(url) as client:
        page = client.searches(state=state, dataset=dataset, page_size=limit)
    if as_json:
        print_json(page)
    elif page["searches"]:
        STDOUT.print(render.search_table(page["searches"]))
    else:
        STDOUT.print("no searches")


@stop_on_error
def cancel(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Cancel a search; the best architecture found so far is kept, with a checkpoint."""
    with connect(url) as client:
        _print_state(client.cancel(search_id), as_json)


@stop_on_error
def pause(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Pause a search: it saves its run state and frees its worker until `resume`."""
    with connect(url) as client:
        _print_state(client.pause(search_id), as_json)


@stop_on_error
def resume(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Resume a paused, failed or cancelled search from its last run state."""
    with connect(url) as client:
        _print_state(client.resume(search_id), as_json)


@stop_on_error
def events(
    search_id: SearchId,
    after: Annotated[int, typer.Option(min=0, help="only events after this sequence number")] = 0,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show the event log of a search, oldest event first."""
    with connect(url) as client:
        log = client.events(search_id, after)
    if as_json:
        print_json(log)
    else:
        STDOUT.print(render.event_table(log["events"]))


@stop_on_error
def download(
    search_id: SearchId,
    file_format: Annotated[FileFormat, typer.Option("--format", "-f", help="file format to download")] = "safetensors",
    target: Annotated[Path | None, typer.Option("--output", "-o", help="file to write")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Download the network of a search, verified by its SHA-256. Run it again to continue an interrupted download."""
    with connect(url) as client:
        details = client.search(search_id)
        target, sha256 = fetch_checkpoint(client, details, target, file_format)
    if as_json:
        print_json({"path": str(target), "sha256": sha256, "size_bytes": target.stat().st_size})
    else:
        STDOUT.print(Text(f"{target} ({target.stat().st_size:,} bytes, SHA-256 {sha256})"), soft_wrap=True)


def fetch_checkpoint(
    client: Client, search: Mapping[str, Any], target: Path | None, file_format: FileFormat = "safetensors"
) -> tuple[Path, str]:
    """Download the checkpoint of a search; returns the file and its SHA-256. Raises ApiError if there is none."""
    link = search["links"].get("checkpoint")
    if link is None:
        way_out = "it is available once the search has succeeded; pausing or cancelling keeps the best network so far"
        reason = way_out if search["error"] is None else search["error"]["detail"]
        raise ApiError(f"Search {search['id']} is {search['state']} and has no checkpoint", [reason])
    target = target or Path(f"autonl-{search['best']['arch_id']}{FORMATS[file_format].ending}")
    with progress_bar(STDERR, target.name) as on_progress:
        return target, client.download(f"{link}&format={file_format}", target, on_progress)


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeError) as error:
        raise CommandError(f"{path} is neither YAML nor JSON", str(error).splitlines()) from error
    if not isinstance(content, dict):
        raise CommandError(f"{path} is not a search request", ["expected fields such as `dataset` and `flops_budget`"])
    return content


def _print_state(details: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(details)
    else:
        STDOUT.print(Text(f"{details['id']} is {details['state']}"))


def _follow_to_end(client: Client, search_id: str, as_json: bool) -> None:
    """Follow a search, then show it. With JSON on stdout, progress goes to stderr."""
    details = follow_search(client, search_id, STDERR if as_json else STDOUT)
    _show(client, details, as_json)
    if details["state"] != "succeeded":
        raise typer.Exit(FAILED)


def _show(client: Client, details: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(details)
        return
    STDOUT.print(render.search_facts(details))
    if details["best"]:
        STDOUT.print()
        STDOUT.print(render.architecture_drawing(client.architecture(details["best"]["arch_id"], details["id"])))
