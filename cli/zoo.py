"""`autonl zoo`: lists published networks. Needs no running service."""

from __future__ import annotations

import click
from rich.console import Console
from rich.text import Text

from autonl_core.wording.counts import counted
from cli.errors import CommandError
from cli.options import json_option, print_json, stop_on_error
from cli.render import zoo_table


@click.command()
@click.option("--budget", "-b", help="scale every network by its width to about this many MACs, e.g. 100M")
@click.option("--resolution", type=int, default=224, show_default=True, help="image size in pixels")
@click.option("--classes", "num_classes", type=int, default=1000, show_default=True, help="number of classes")
@json_option
@stop_on_error
def zoo(budget: str | None, resolution: int, num_classes: int, as_json: bool) -> None:
    """List AutoNL-S, AutoNL-L and other published networks, with their published figures and those counted here."""
    from autonl_core.errors import ArchError  # what counts networks is not needed for the help
    from autonl_core.spec.macs import COUNTING_RULE
    from autonl_core.spec.scaling import TOLERANCE, describe_net
    from autonl_core.spec.zoo import ZOO

    try:
        macs = None if budget is None else _macs_of(budget)
        nets = [describe_net(net, resolution, num_classes, macs) for net in ZOO.values()]
    except (ValueError, ArchError) as error:
        raise CommandError("No network fits these options", [str(error)]) from error
    if as_json:
        print_json({"networks": nets, "macs_counting_rule": COUNTING_RULE})
    else:
        console = Console()
        console.print(zoo_table(nets))
        scaled = (
            "" if macs is None else f", with widths scaled to within {TOLERANCE:.0%} of {macs:,} MACs, above or below"
        )
        console.print(Text(f"Here: {resolution} pixels, {counted(num_classes, 'class')}{scaled}.", style="dim"))
        console.print(Text(f"MACs are {COUNTING_RULE}.", style="dim"))


def _macs_of(budget: str) -> int:
    """Raises ValueError, naming the option, if it is no positive number of MACs."""
    from autonl_core.spec.macs_text import parse_macs

    try:
        macs = parse_macs(budget)
    except ValueError as error:
        raise ValueError(f"--budget {budget!r}: {error}") from error
    if not (isinstance(macs, int) and macs > 0):
        raise ValueError(f"--budget {budget!r} is not a positive number of MACs")
    return macs
