"""`autonl models ...`: promote results to aliases of models, roll back, download by alias, look at the history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from autonl.model_documents import of_alias, split_alias
from autonl_core.spec.file_names import network_name
from autonl_core.spec.formats import FileFormat
from cli.checkpoints import fetch_file, format_option, output_option, print_downloaded
from cli.client import Client
from cli.commands import FullHelpGroup
from cli.options import json_option, print_json, search_argument, stop_on_error, url_option
from cli.render_models import aliases_table, history_table, promoted_line
from cli.search_ids import full_id


class AliasType(click.ParamType[tuple[str, str]]):
    """`MODEL@ALIAS`."""

    name = "MODEL@ALIAS"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        if (parts := split_alias(value)) is None:
            self.fail(f"{value!r} names no alias of a model; write it as in products@prod", param, ctx)
        return parts


alias_argument = click.argument("name", type=AliasType(), metavar="MODEL@ALIAS", help="an alias, as in products@prod")
note_option = click.option("--note", default="", help="why, for people")


@click.group(cls=FullHelpGroup)
def models() -> None:
    """Promote results to aliases of models, such as products@prod; roll back, download, look at the history."""


@models.command("list")
@json_option
@url_option
@stop_on_error
def list_models(as_json: bool, url: str) -> None:
    """List all models, and what their aliases stand for."""
    with Client(url) as client:
        listing = client.models()
    if as_json:
        print_json(listing)
    elif not listing["models"]:
        Console().print("No models yet. `autonl models promote products@prod SEARCH` makes one.")
    else:
        Console().print(aliases_table(listing["models"]))


@models.command()
@click.argument("model", metavar="MODEL", help="name of a model")
@json_option
@url_option
@stop_on_error
def show(model: str, as_json: bool, url: str) -> None:
    """Show what the aliases of a model stood for, the newest promotion first."""
    with Client(url) as client:
        found = client.model(model)
    if as_json:
        print_json(found)
    else:
        Console().print(history_table(found))


@models.command()
@alias_argument
@search_argument
@note_option
@json_option
@url_option
@stop_on_error
def promote(name: tuple[str, str], search_id: str, note: str, as_json: bool, url: str) -> None:
    """Let an alias stand for the result of a search from now on."""
    with Client(url) as client:
        promoted = client.promote(*name, full_id(client, search_id), note)
    _print_promotion(promoted, as_json)


@models.command()
@alias_argument
@note_option
@json_option
@url_option
@stop_on_error
def rollback(name: tuple[str, str], note: str, as_json: bool, url: str) -> None:
    """Let an alias stand for what it stood for before; again, for what was before that."""
    with Client(url) as client:
        current = client.alias(*name)
        promoted = client.roll_back(*name, current["number"], note)
    _print_promotion(promoted, as_json)


@models.command()
@alias_argument
@url_option
@stop_on_error
def remove(name: tuple[str, str], url: str) -> None:
    """Remove an alias with its history; the searches stay."""
    with Client(url) as client:
        client.remove_alias(*name)
    Console().print(Text(f"alias {'@'.join(name)} removed"))


@models.command()
@alias_argument
@format_option
@output_option
@json_option
@url_option
@stop_on_error
def download(name: tuple[str, str], file_format: FileFormat, target: Path | None, as_json: bool, url: str) -> None:
    """Download the network that an alias stands for, verified by its SHA-256."""
    with Client(url) as client:
        current = client.alias(*name)
        link = f"{of_alias(*name)}/checkpoint?format={file_format}"
        file_name = network_name(current["dataset"], current["arch_id"])
        target, sha256 = fetch_file(client, link, file_name, target, file_format)
    print_downloaded(target, sha256, as_json)


def _print_promotion(promotion: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(promotion)
    else:
        Console().print(promoted_line(promotion))
