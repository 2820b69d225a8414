"""`autonl tenants`: who shares a service on this machine, and sees nothing of the others."""

from __future__ import annotations

from pathlib import Path

import click

from cli.errors import CommandError
from cli.host_stores import data_dir_option, host_stores
from cli.options import json_option, print_json, stop_on_error
from cli.tenant_limits import limits


@click.group()
def tenants() -> None:
    """Create, list and delete the tenants of a service on this machine."""


tenants.add_command(limits)


@tenants.command()
@click.argument("name")
@data_dir_option
@stop_on_error
def create(name: str, data_dir: Path | None) -> None:
    """Create a tenant. `autonl keys create --tenant NAME` makes its first key."""
    with host_stores(data_dir) as stores:
        try:
            stores.tenants.create(name)
        except ValueError as error:
            raise CommandError(str(error)) from error
    click.echo(f"Created {name}; make a key for it: autonl keys create --tenant {name}")


@tenants.command("list")
@data_dir_option
@json_option
@stop_on_error
def list_tenants(data_dir: Path | None, as_json: bool) -> None:
    """List the tenants; what earlier versions stored belongs to `default`."""
    with host_stores(data_dir) as stores:
        names = stores.tenants.ids()
    if as_json:
        print_json({"tenants": names})
        return
    for name in names:
        click.echo(name)


@tenants.command()
@click.argument("name")
@click.confirmation_option(prompt="Delete the tenant with its searches, datasets, weights, files and keys?")
@data_dir_option
@stop_on_error
def delete(name: str, data_dir: Path | None) -> None:
    """Delete a tenant with everything that belongs to it, once its searches have ended."""
    from store.tenant_deletion import delete_tenant

    with host_stores(data_dir) as stores:
        count = delete_tenant(stores, name)
    click.echo(f"Deleted {name} and its {count} searches")
