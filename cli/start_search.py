"""`autonl search`: starts a search from options, or from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from autonl_core.registry import Named, Registry
from autonl_core.spec.formats import DEFAULT_EXPORT_FORMATS, EXPORT_FORMATS
from cli.client import Client
from cli.errors import CommandError
from cli.measured import with_own_device
from cli.options import constraints_of, json_option, labels_of, print_json, stop_on_error, url_option
from cli.render_search import start_text
from cli.search_ids import full_id
from cli.watch import follow_to_end, say_started

# Listed from the directories, as everywhere: what describes members takes longer to import than most commands run.
_ALGORITHMS = ", ".join(Registry[Named]("autonl_core.supernet.algorithms", "algorithm").names())
_PARENT = "search:"  # in `init`, followed by an id
_SPACES = ", ".join(Registry[Named]("autonl_core.spec.spaces", "search space").names())


@click.command()
@click.option("--dataset", "-d", help="dataset name, see `autonl dataset list`")
@click.option("--budget", "-b", multiple=True, help="most MACs per image, e.g. 300M or 450k; repeatable")
@click.option(
    "--constraint",
    multiple=True,
    metavar="NAME:AMOUNT",
    help="another limit, of params, weights_bytes or peak_activation_bytes, as in params:2M; repeatable",
)
@click.option("--latency-ms", type=float, help="most milliseconds of one image on the --device")
@click.option("--device", help="that --latency-ms is for, see `autonl device list` (default: this machine)")
@click.option(
    "--config",
    "-c",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSON search request",
)
@click.option("--seed", type=int, help="the same seed reproduces a search exactly")
@click.option("--repeat", type=int, help="searches, with seeds one after the other: how much of a result is luck")
@click.option("--resolution", type=int, help="image size in pixels (default: chosen, or the dataset's own)")
@click.option("--space", help=f"{_SPACES} (default: by resolution)")
@click.option(
    "--init", help="weight set to start from (`autonl weights list`), `search:ID`, `auto` (default) or `none`"
)
@click.option("--algorithm", help=f"{_ALGORITHMS} (default: autonl)")
@click.option(
    "--baseline", multiple=True, help="published network, off-the-shelf or uniform: what to compare with; repeatable"
)
@click.option("--priority", type=int, help="-5 to 5 (default: 0): a higher one starts first")
@click.option("--resource-class", help="workers that may run it: gpu, cpu or any (default)")
@click.option("--max-compute-s", type=float, help="CPU seconds that it may use; then it stops with its best network")
@click.option("--label", multiple=True, metavar="KEY:VALUE", help="to find it by later, as in team:x; repeatable")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(EXPORT_FORMATS),
    help=f"file to deliver, instead of {', '.join(DEFAULT_EXPORT_FORMATS)}; repeatable",
)
@click.option("--licence", help="of the network, for its model card, e.g. CC-BY-4.0")
@click.option("--author", multiple=True, help="of the network, for its model card; repeatable")
@click.option("--wait", "-w", is_flag=True, help="follow the search until it ends")
@json_option
@url_option
@stop_on_error
def search(
    dataset: str | None,
    budget: tuple[str, ...],
    constraint: tuple[str, ...],
    latency_ms: float | None,
    device: str | None,
    config: Path | None,
    seed: int | None,
    repeat: int | None,
    resolution: int | None,
    space: str | None,
    init: str | None,
    algorithm: str | None,
    baseline: tuple[str, ...],
    priority: int | None,
    resource_class: str | None,
    max_compute_s: float | None,
    label: tuple[str, ...],
    formats: tuple[str, ...],
    licence: str | None,
    author: tuple[str, ...],
    wait: bool,
    as_json: bool,
    url: str,
) -> None:
    """Start a search. With --wait, exit code 1 unless it succeeded."""
    body = _with_budgets(_read_config(config), budget)
    options: dict[str, Any] = {"dataset": dataset, "seed": seed, "repeat": repeat, "resolution": resolution}
    options |= {"search_space": space, "init": init, "algorithm": algorithm, "baselines": list(baseline) or None}
    options |= {"priority": priority, "resource_class": resource_class, "max_compute_s": max_compute_s}
    body |= {name: value for name, value in options.items() if value is not None}
    latency = {"latency_ms": latency_ms, "device": device}
    body = _with_added(body, "constraints", constraints_of(constraint) | latency)
    body = _with_added(body, "labels", labels_of(label))
    body = _with_added(body, "export", {"formats": list(formats) or None})
    body = _with_added(body, "card", {"licence": licence, "authors": list(author) or None})
    _start(body, url, wait, as_json)


def _start(body: Mapping[str, Any], url: str, wait: bool, as_json: bool) -> None:
    with Client(url) as client:
        body = with_own_device(client, _with_full_id(client, body), Console(stderr=True))
        started = client.start_search(body)
        if wait:
            _say_started(client, started, Console(stderr=as_json))
            follow_to_end(client, started["id"], as_json)
        elif as_json:
            print_json(started)
        else:
            Console().print(_queued_text(started))


def _with_budgets(body: dict[str, Any], budgets: Sequence[str]) -> dict[str, Any]:
    """`body` with the budgets, if there are any, instead of what it says in either field."""
    if not budgets:
        return body
    others = {name: value for name, value in body.items() if name not in ("flops_budget", "flops_budgets")}
    return others | ({"flops_budget": budgets[0]} if len(budgets) == 1 else {"flops_budgets": list(budgets)})


def _queued_text(started: Mapping[str, Any]) -> Text:
    follow = f"follow it with: autonl watch {started['id']}"
    return Text(f"{started['id']} is {started['state']}, from {start_text(started['config'])}; {follow}")


def _with_added(body: Mapping[str, Any], field: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """`body`, in whose `field` what is given stands beside what the file says, or instead of it."""
    stated = {name: value for name, value in given.items() if value is not None}
    return {**body, field: {**(body.get(field) or {}), **stated}} if stated else dict(body)


def _with_full_id(client: Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the id in its `init`, if there is one, in full."""
    init = str(body.get("init"))
    parent = {"init": _PARENT + full_id(client, init.removeprefix(_PARENT))} if init.startswith(_PARENT) else {}
    return {**body, **parent}


def _say_started(client: Client, started: Mapping[str, Any], console: Console) -> None:
    """Name the search, and those that repeat it; those for other budgets are queued later."""
    say_started(console, started["id"])
    if started["config"]["repeat"] > 1:
        for one in client.repeats(started["id"])["searches"]:
            if one["search_id"] != started["id"]:
                say_started(console, one["search_id"])


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeError) as error:
        raise CommandError(f"{path} is neither YAML nor JSON", str(error).splitlines()) from error
    if not isinstance(content, dict):
        raise CommandError(f"{path} is not a search request", ["expected fields such as `dataset` and `flops_budget`"])
    return content
