"""The stores of a service on this machine, for commands of its operator: they work on its database, not by HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import CommandError, SettingsError
from cli.settings_of_host import read_settings

if TYPE_CHECKING:
    from store.stores import Stores

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="folder of the service on this machine, as given to `autonl up` (default: ./autonl-data); DATABASE_URL may "
    "name another database",
)


@contextlib.contextmanager
def host_stores(data_dir: Path | None) -> Iterator[Stores]:
    """The stores, whose database is made if it is one of SQLite. Raises CommandError, also for errors of the store."""
    from store.db import UNAVAILABLE
    from store.errors import SchemaOutdated, StoreError
    from store.migrate import check_schema, upgrade
    from store.stores import open_stores

    settings = read_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    try:
        if not settings.database_url:
            upgrade(settings.resolved_database_url)
        with contextlib.closing(open_stores(settings)) as stores:
            check_schema(stores.database)
            yield stores
    except SchemaOutdated as error:
        raise SettingsError("The database is of another version", [str(error)]) from error
    except StoreError as error:
        raise CommandError(str(error)) from error
    except UNAVAILABLE as error:
        raise CommandError("The database does not respond", [str(error)]) from error
