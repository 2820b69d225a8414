"""The commands that are alike for all things that users name: to show one, to delete one, to list all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from cli.client import Client, Document
from cli.options import json_option, print_json, stop_on_error, url_option

Option = Callable[[Any], Any]


def show_command(
    argument: Option, fetch: Callable[[Client, str], Document], show: Callable[[Document, bool], None], summary: str
) -> click.Command:
    """`show NAME`. `show` prints what was fetched, as JSON or not."""

    @click.command("show", help=summary)
    @argument
    @json_option
    @url_option
    @stop_on_error
    def command(name: str, as_json: bool, url: str) -> None:
        with Client(url) as client:
            found = fetch(client, name)
        show(found, as_json)

    return command


def delete_command(argument: Option, noun: str, delete: Callable[[Client, str], None], summary: str) -> click.Command:
    """`delete NAME`."""

    @click.command("delete", help=summary)
    @argument
    @url_option
    @stop_on_error
    def command(name: str, url: str) -> None:
        with Client(url) as client:
            delete(client, name)
        Console().print(Text(f"{noun} {name} deleted"))

    return command


def list_command(
    fetch: Callable[[Client], Document],
    field: str,
    table: Callable[[Iterable[Mapping[str, Any]]], RenderableType],
    summary: str,
) -> click.Command:
    """`list`. What is fetched has the things in its `field`."""

    @click.command("list", help=summary)
    @json_option
    @url_option
    @stop_on_error
    def command(as_json: bool, url: str) -> None:
        with Client(url) as client:
            listing = fetch(client)
        if as_json:
            print_json(listing)
        else:
            Console().print(table(listing[field]))

    return command
