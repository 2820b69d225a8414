"""`autonl keys`: make, list and revoke the keys of a service on this machine."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cli.host_stores import data_dir_option, host_stores
from cli.options import json_option, print_json, stop_on_error

_SCOPES = ("read", "submit", "data", "admin")
_DEFAULT_TENANT = "default"


@click.group()
def keys() -> None:
    """Make, list and revoke keys of a service on this machine."""


@keys.command()
@click.option("--tenant", default=_DEFAULT_TENANT, show_default=True, help="whose key it is")
@click.option("--name", default="key", show_default=True, help="what it is for, to recognise it later")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(_SCOPES),
    multiple=True,
    help="what it may do; repeatable [default: read, submit, data]",
)
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="when it expires [default: never]")
@data_dir_option
@json_option
@stop_on_error
def create(
    tenant: str, name: str, scopes: tuple[str, ...], expires_in_days: int | None, data_dir: Path | None, as_json: bool
) -> None:
    """Make a key, and print it: it cannot be shown again."""
    from store.keys import Scope

    lasts = None if expires_in_days is None else timedelta(days=expires_in_days)
    wanted = [Scope(scope) for scope in scopes or _SCOPES[:3]]
    with host_stores(data_dir) as stores:
        stores.tenants.require(tenant)
        key, text = stores.keys.create(tenant, name[:64], wanted, lasts=lasts)
    if as_json:
        print_json(_described(key) | {"key": text})
        return
    click.echo(text)
    click.echo(f"key {key.id} of tenant {tenant}, scopes {', '.join(sorted(wanted))}; it is not shown again", err=True)


@keys.command("list")
@click.option("--tenant", help="only those of this tenant")
@data_dir_option
@json_option
@stop_on_error
def list_keys(tenant: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List keys, newest first, without their secrets."""
    with host_stores(data_dir) as stores:
        if tenant is not None:
            stores.tenants.require(tenant)
        found = [_described(key) for key in stores.keys.all(tenant)]
    if as_json:
        print_json({"keys": found})
        return
    for key in found:
        end = "revoked" if key["revoked_at"] else f"expires {key['expires_at']}" if key["expires_at"] else "valid"
        used = f"last used {key['last_used_at']}" if key["last_used_at"] else "not used yet"
        click.echo(f"{key['id']}  {key['tenant']}  {key['name']}  {','.join(key['scopes'])}  {end}  {used}")


@keys.command()
@click.argument("key_id", metavar="ID")
@data_dir_option
@stop_on_error
def revoke(key_id: str, data_dir: Path | None) -> None:
    """Revoke a key by its id, the part after `autonl_`; it is refused within a second."""
    with host_stores(data_dir) as stores:
        stores.keys.revoke(key_id.removeprefix("autonl_").partition("_")[0])
    click.echo(f"Revoked {key_id}")


def _described(key: Any) -> dict[str, Any]:
    moments = ("created_at", "expires_at", "revoked_at", "last_used_at")
    times = {name: _text(getattr(key, name)) for name in moments}
    return {"id": key.id, "tenant": key.tenant_id, "name": key.name, "scopes": key.scopes} | times


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
