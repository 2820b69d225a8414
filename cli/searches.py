"""The commands that start, show, stop and fetch searches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.text import Text

from autonl_core.spec.formats import FORMATS, FileFormat
from cli import render
from cli.client import Client
from cli.errors import ApiError, CommandError
from cli.live import progress_bar
from cli.live import watch as follow
from cli.options import AsJson, Url, connect, print_json, stop_on_error

FAILED = 1  # exit code when a search ended without success
STDOUT = Console()
STDERR = Console(stderr=True)

SearchId = Annotated[str, typer.Argument(metavar="SEARCH", help="id of the search")]


@stop_on_error
def search(
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="name of a data set, see `autonl dataset list`")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="most MACs of one image, e.g. 300M or 450k")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", exists=True, dir_okay=False, help="YAML or JSON file of a search")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="repeats a search exactly")] = None,
    resolution: Annotated[int | None, typer.Option(help="pixels; the data set's own size if not given")] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="published network to train beside it at the same MACs; may be repeated")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="watch it to the end")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Start a search."""
    body = _read_config(config)
    given: dict[str, Any] = {"dataset": dataset, "flops_budget": budget, "seed": seed, "resolution": resolution}
    given["baselines"] = baseline or None
    body |= {name: value for name, value in given.items() if value is not None}
    with connect(url) as client:
        started = client.start_search(body)
        if wait:
            _show_end(client, started["id"], as_json)
        elif as_json:
            print_json(started)
        else:
            STDOUT.print(Text(f"{started['id']} is {started['state']}; follow it: autonl watch {started['id']}"))


@stop_on_error
def status(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Show a search as it is now. Ends with 1 if it failed."""
    with connect(url) as client:
        found = client.search(search_id)
        _show(client, found, as_json)
    if found["state"] == "failed":
        raise typer.Exit(FAILED)


@stop_on_error
def watch(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Follow a search to its end, or to a pause. Ends with 1 unless it succeeded."""
    with connect(url) as client:
        _show_end(client, search_id, as_json)


@stop_on_error
def list_searches(
    state: Annotated[str | None, typer.Option(help="only those in this state")] = None,
    dataset: Annotated[str | None, typer.Option(help="only those on this data set")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="how many at most")] = 50,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List searches, newest first."""
    with connect(url) as client:
        answer = client.searches(state=state, dataset=dataset, page_size=limit)
    if as_json:
        print_json(answer)
    elif answer["searches"]:
        STDOUT.print(render.search_table(answer["searches"]))
    else:
        STDOUT.print("no searches")


@stop_on_error
def cancel(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Ask a search to stop; it keeps the best architecture it found, with a checkpoint."""
    with connect(url) as client:
        _tell(client.cancel(search_id), as_json)


@stop_on_error
def pause(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Ask a search to save and free its worker; it keeps its best so far, and `resume` goes on."""
    with connect(url) as client:
        _tell(client.pause(search_id), as_json)


@stop_on_error
def resume(search_id: SearchId, as_json: AsJson = False, url: Url = None) -> None:
    """Let a paused, failed or cancelled search go on from its last run state."""
    with connect(url) as client:
        _tell(client.resume(search_id), as_json)


@stop_on_error
def events(
    search_id: SearchId,
    after: Annotated[int, typer.Option(min=0, help="only those after this number")] = 0,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what happened to a search: its numbered log, written with every change of its state."""
    with connect(url) as client:
        answer = client.events(search_id, after)
    if as_json:
        print_json(answer)
    else:
        STDOUT.print(render.event_table(answer["events"]))


@stop_on_error
def download(
    search_id: SearchId,
    file_format: Annotated[FileFormat, typer.Option("--format", "-f", help="what to download")] = "safetensors",
    target: Annotated[Path | None, typer.Option("--output", "-o", help="file to write")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Download what a search made, verified by its SHA-256. An interrupted download goes on when it is run again."""
    with connect(url) as client:
        found = client.search(search_id)
        target, sha256 = fetch_checkpoint(client, found, target, file_format)
    if as_json:
        print_json({"path": str(target), "sha256": sha256, "size_bytes": target.stat().st_size})
    else:
        STDOUT.print(Text(f"{target} ({target.stat().st_size:,} bytes, SHA-256 {sha256})"), soft_wrap=True)


def fetch_checkpoint(
    client: Client, found: dict[str, Any], target: Path | None, file_format: FileFormat = "safetensors"
) -> tuple[Path, str]:
    """Download the checkpoint of a search; returns the file and its SHA-256. Raises ApiError if it has none."""
    link = found["links"].get("checkpoint")
    if link is None:
        way_out = "it is there once the search has succeeded; a pause or cancel keeps the best so far"
        reason = way_out if found["error"] is None else found["error"]["detail"]
        raise ApiError(f"Search {found['id']} is {found['state']} and has no checkpoint", [reason])
    target = target or Path(f"autonl-{found['best']['arch_id']}{FORMATS[file_format].ending}")
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
        raise CommandError(f"{path} is not a search", ["expected fields such as `dataset` and `flops_budget`"])
    return content


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        STDOUT.print(Text(f"{found['id']} is {found['state']}"))


def _show_end(client: Client, search_id: str, as_json: bool) -> None:
    """Follow to the end, then show it. Progress goes to stderr when stdout belongs to a program."""
    found = follow(client, search_id, STDERR if as_json else STDOUT)
    _show(client, found, as_json)
    if found["state"] != "succeeded":
        raise typer.Exit(FAILED)


def _show(client: Client, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    STDOUT.print(render.search_facts(found))
    if found["best"]:
        STDOUT.print()
        STDOUT.print(render.architecture_drawing(client.architecture(found["best"]["arch_id"], found["id"])))
