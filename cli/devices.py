"""`autonl device ...`: measure this machine; add, list, show and delete the devices that searches limit latency on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from autonl_core.device_table import ROUNDS
from cli.client import Client
from cli.commands import FullHelpGroup
from cli.measured import measured
from cli.named_things import delete_command, list_command, show_command
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.packing import require_name
from cli.render_devices import device_facts, device_table

if TYPE_CHECKING:
    from autonl_core.spec.device_table import DeviceTable

_LEAST_ROUNDS = 3

name_argument = click.argument("name", metavar="NAME", help="name of the device")


@click.group(cls=FullHelpGroup)
def device() -> None:
    """Measure how long blocks take on this machine; add, list, show and delete devices that latency is limited on."""


@device.command()
@click.option("--space", required=True, help="the search space, as GET /search-spaces lists them: mobile-32, lite")
@click.option("--resolution", type=click.IntRange(min=1), required=True, help="pixels a side")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="of ONNX Runtime")
@click.option(
    "--rounds", type=click.IntRange(min=_LEAST_ROUNDS), default=ROUNDS, show_default=True, help="more: less noise"
)
@click.option(
    "--ssh", "host", metavar="HOST", help="measure another machine, named as for ssh: it needs python3 and onnxruntime"
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="the device table")
@click.option("--add", "add_as", metavar="NAME", help="add it to the service too, as a device of this name")
@json_option
@url_option
@stop_on_error
def measure(
    space: str,
    resolution: int,
    threads: int,
    rounds: int,
    host: str | None,
    out: Path,
    add_as: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Time every distinct block of a space on this machine, and random whole networks, and write the device table.

    Needs a running service only to add the device.
    """
    from autonl_core.files import write_atomically

    if add_as is not None:
        require_name(add_as)
    table = measured(space, resolution, threads, rounds, host, Console(stderr=True, quiet=as_json))
    write_atomically(out, lambda path: path.write_text(table.to_text(), encoding="utf-8"))
    if as_json:
        print_json({"path": str(out), "sha256": table.sha256, **_errors(table)})
    else:
        click.echo("\n".join(_lines(table, out)))
    if add_as is not None:
        with Client(url) as client:
            client.add_device(add_as, out)
        if not as_json:
            click.echo(f"added to {client.url} as {add_as}")


@device.command()
@name_argument
@click.argument(
    "table", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="what `autonl device measure` wrote"
)
@json_option
@url_option
@stop_on_error
def add(name: str, table: Path, as_json: bool, url: str) -> None:
    """Add a device by its table, which another machine may have measured."""
    require_name(name)
    with Client(url) as client:
        added = client.add_device(name, table)
    _print_device(added, as_json)


def _print_device(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        Console().print(device_facts(found))


def _errors(table: DeviceTable) -> dict[str, float]:
    fit = table.calibration
    return {
        f"worst_{name}_pct": round(fit.worst_pct(held_out=of), 1)
        for name, of in (("fitted", False), ("held_out", True))
    }


def _lines(table: DeviceTable, out: Path) -> list[str]:
    fit, errors = table.calibration, _errors(table)
    taken_ms = [network.measured_ns / 1e6 for network in fit.networks]
    held_out = sum(network.held_out for network in fit.networks)
    return [
        f"{out}: {len(table.blocks_ns)} blocks of {table.space} at {table.resolution} pixels, on {table.device}",
        f"networks take {min(taken_ms):.3f} to {max(taken_ms):.3f} ms",
        f"predicted within {errors['worst_held_out_pct']}% for {held_out} networks unknown to the calibration",
        f"predicted within {errors['worst_fitted_pct']}% for the other {len(taken_ms) - held_out}",
    ]


device.add_command(
    show_command(name_argument, Client.device, _print_device, "Show a device; with --json, its table too.")
)
device.add_command(
    delete_command(
        name_argument,
        "device",
        Client.delete_device,
        "Delete a device. Searches that were started with it keep its table.",
    )
)
device.add_command(
    list_command(Client.devices, "devices", device_table, "List devices, and what was measured on them.")
)
