"""Measuring a device, with a bar of progress; and this machine as a device of a service, measured when first needed."""

from __future__ import annotations

import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from autonl_core.device_table import ROUNDS
from cli.client import Client
from cli.errors import CommandError

if TYPE_CHECKING:
    from autonl_core.spec.device_table import DeviceTable

_THREADS = 1


def measured(space: str, resolution: int, threads: int, rounds: int, host: str | None, console: Console) -> DeviceTable:
    """The table of this machine or of `host`, once it is known how long that takes. Raises CommandError."""
    from autonl_core.device_table.measuring import Measurement
    from autonl_core.device_table.over_ssh import MakeTimer, timers_on
    from autonl_core.device_table.timing import OwnTimer
    from autonl_core.spec.space_families import require_space

    reached: AbstractContextManager[MakeTimer] = nullcontext(OwnTimer) if host is None else timers_on(host)
    with _stopping(), reached as make_timer:
        measurement = Measurement.prepare(require_space(space), resolution, threads, make_timer)
        seconds = rounds * measurement.round_s()
        console.print(f"{measurement.models} models, {rounds} rounds: about {seconds:.0f} s")
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("measuring", total=1.0)
            return measurement.run(rounds, lambda share: progress.update(task, completed=share))


def with_own_device(client: Client, body: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """`body` with this machine as the device of its limit of latency, if it has one without a device.

    The search is then in the space, at the resolution and from the weights that it would have without the limit. If the
    service has no table for these of a machine like this one, this machine is measured, and added.

    Raises:
        ApiError: the search is refused as it is.
        CommandError: this machine cannot be measured.
    """
    from autonl_core.spec.config import AUTO_INIT

    limits = body.get("constraints")
    if not isinstance(limits, Mapping) or limits.get("latency_ms") is None or limits.get("device") is not None:
        return dict(body)
    others = {name: limit for name, limit in limits.items() if name != "latency_ms"}
    plan = client.validate_search({**body, "constraints": others})
    space, resolution = plan["search_space"], plan["resolution"]
    place = f"{space} at {resolution} pixels"
    device = _known(client, space, resolution)
    if device is None:
        console.print(f"no device is named: this machine is measured for {place}, once")
        device = _add(client, space, resolution, measured(space, resolution, _THREADS, ROUNDS, None, console))
    console.print(f"latency is limited on the device {device}, in {place}")
    chosen = {"search_space": space, "resolution": resolution}
    if body.get("init", AUTO_INIT) == AUTO_INIT and body.get("parent") is None:
        chosen["init"] = plan["init"]
    return {**body, **chosen, "constraints": {**limits, "device": device}}


def _known(client: Client, space: str, resolution: int) -> str | None:
    """The latest device of the service that is a machine like this one, measured for this."""
    from autonl_core.device_table.timing import table_machine

    like_this = (table_machine(_THREADS).device, space, resolution)
    fitting = [
        one for one in client.devices()["devices"] if (one["device"], one["space"], one["resolution"]) == like_this
    ]
    return max(fitting, key=lambda one: one["created_at"])["name"] if fitting else None


def _add(client: Client, space: str, resolution: int, table: DeviceTable) -> str:
    """Add this machine under a name that no device has yet; returns the name."""
    taken = {one["name"] for one in client.devices()["devices"]}
    host = re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node()).strip("._-")[:32] or "machine"
    name = first = f"{host}-{space}-{resolution}"
    number = 1
    while name in taken:
        number += 1
        name = f"{first}-{number}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.json"
        file.write_text(table.to_text(), encoding="utf-8")
        client.add_device(name, file)
    return name


@contextmanager
def _stopping() -> Iterator[None]:
    """Within the block, what keeps a device from being measured ends the command."""
    from autonl_core.errors import AutonlError

    try:
        yield
    except AutonlError as error:
        raise CommandError("The device cannot be measured", [str(error)]) from error
