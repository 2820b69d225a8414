"""`autonl device measure`: time the blocks of a search space on this machine. Needs no running service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from cli.commands import FullHelpGroup
from cli.errors import CommandError
from cli.options import json_option, print_json, stop_on_error

if TYPE_CHECKING:
    from autonl_core.spec.device_table import DeviceTable

_LEAST_ROUNDS = 3


@click.group(cls=FullHelpGroup)
def device() -> None:
    """Measure how long the blocks of a search space take on this machine, for searches that limit latency."""


@device.command()
@click.option("--space", required=True, help="the search space, as GET /search-spaces lists them: mobile-32, lite")
@click.option("--resolution", type=click.IntRange(min=1), required=True, help="pixels a side")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="of ONNX Runtime")
@click.option(
    "--rounds", type=click.IntRange(min=_LEAST_ROUNDS), default=40, show_default=True, help="more: less noise"
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="the device table")
@json_option
@stop_on_error
def measure(space: str, resolution: int, threads: int, rounds: int, out: Path, as_json: bool) -> None:
    """Time every distinct block of a space, and random whole networks, and write the device table."""
    from autonl_core.files import write_atomically

    table = _measured(space, resolution, threads, rounds, Console(stderr=True, quiet=as_json))
    write_atomically(out, lambda path: path.write_text(table.to_text(), encoding="utf-8"))
    if as_json:
        print_json({"path": str(out), "sha256": table.sha256, **_errors(table)})
    else:
        click.echo("\n".join(_lines(table, out)))


def _measured(space: str, resolution: int, threads: int, rounds: int, console: Console) -> DeviceTable:
    """The table of this machine, once it is known how long that takes. Raises CommandError."""
    from autonl_core.device_table.measuring import Measurement
    from autonl_core.errors import AutonlError
    from autonl_core.spec.space_families import require_space

    try:
        measurement = Measurement.prepare(require_space(space), resolution, threads)
        models = len(measurement.models)
        console.print(f"{models} models, {rounds} rounds: about {rounds * measurement.round_s():.0f} s")
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("measuring", total=1.0)
            return measurement.run(rounds, lambda share: progress.update(task, completed=share))
    except AutonlError as error:
        raise CommandError("The device cannot be measured", [str(error)]) from error


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
