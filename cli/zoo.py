"""`autonl zoo`: lists published networks. Needs no running service."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from autonl_core.errors import ArchError
from autonl_core.spec.config import parse_macs
from autonl_core.spec.macs import COUNTING_RULE
from autonl_core.spec.scaling import describe_net
from autonl_core.spec.zoo import ZOO
from cli.errors import CommandError
from cli.options import AsJson, print_json, stop_on_error
from cli.render import zoo_table


@stop_on_error
def zoo(
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="scale every network by its width to this many MACs, e.g. 100M")
    ] = None,
    resolution: Annotated[int, typer.Option(help="image size in pixels")] = 224,
    num_classes: Annotated[int, typer.Option("--classes", help="number of classes")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List AutoNL-S, AutoNL-L and other published networks, with their published figures and those counted here."""
    try:
        macs = parse_macs(budget)
        if macs is not None and not (isinstance(macs, int) and macs > 0):
            raise ValueError(f"--budget {budget!r} is not a positive number of MACs")
        nets = [describe_net(net, resolution, num_classes, macs) for net in ZOO.values()]
    except (ValueError, ArchError) as error:
        raise CommandError("No network fits these options", [str(error)]) from error
    if as_json:
        print_json({"networks": nets, "macs_counting_rule": COUNTING_RULE})
    else:
        console = Console()
        console.print(zoo_table(nets))
        console.print(Text(f"MACs are {COUNTING_RULE}.", style="dim"))
