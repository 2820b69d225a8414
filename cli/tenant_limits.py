"""`autonl tenants limits`: what a tenant of a service on this machine may use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import CommandError
from cli.host_stores import data_dir_option, host_stores
from cli.options import json_option, print_json, stop_on_error

if TYPE_CHECKING:
    from store.stores import Stores

_NAMES = (
    "queued",
    "running",
    "stored_bytes",
    "compute_s_per_day",
    "compute_s_per_month",
    "event_streams",
    "priority",
)  # fields of `store.quotas.TenantLimits`, which takes long to import
_DEFAULT = "default"


@click.command()
@click.argument("name")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="LIMIT=VALUE",
    help=f"{', '.join(_NAMES)}; 0: none (of a priority, it is one); {_DEFAULT}: as the settings say; repeatable",
)
@data_dir_option
@json_option
@stop_on_error
def limits(name: str, changes: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """Show or change the limits of a tenant."""
    parsed = dict(map(_parse, changes))
    with host_stores(data_dir) as stores:
        found = _change(stores, name, parsed)
        own = stores.quotas.own_limits(name)
    if as_json:
        print_json({"limits": found, "own": own})
        return
    for limit, value in found.items():
        shown = f"{value:,}" if value or limit == "priority" else "none"
        click.echo(f"{limit}: {shown}{'' if limit in own else ' (setting)'}")


def _change(stores: Stores, name: str, changes: dict[str, int | None]) -> dict[str, int]:
    try:
        return stores.quotas.set_limits(name, changes).model_dump()
    except ValueError as error:
        raise CommandError(f"A limit is out of range: {error}") from error


def _parse(change: str) -> tuple[str, int | None]:
    """The limit and its new value; None: the one of the settings. Raises CommandError."""
    limit, _, value = change.partition("=")
    if limit not in _NAMES:
        raise CommandError(f"There is no limit {limit!r}; the existing ones are: {', '.join(_NAMES)}")
    if value == _DEFAULT:
        return limit, None
    try:
        return limit, int(value)
    except ValueError as error:
        raise CommandError(f"{change!r} has no whole number; write {limit}=100, or {limit}={_DEFAULT}") from error
