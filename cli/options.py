"""Shared by the commands: their common options, and turning errors into messages and exit codes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, ParamSpec

import click

from cli.errors import CommandError
from store.service_url import DEFAULT_SERVICE_URL

REFUSED = 2  # exit code when a command could not do what it was asked to

_URL_HELP = "URL of the service (environment: AUTONL_URL)"
_KEY_HELP = "key, if the service needs one (environment: AUTONL_KEY)"
_KEY = "autonl.key"


def _url_before_the_command() -> str:
    """What `autonl --url URL COMMAND`, the environment or the default says."""
    params = click.get_current_context().find_root().params
    return str(params.get("url", DEFAULT_SERVICE_URL))


# Click reads the variable, not the settings: to check all of them takes longer than a request.
url_before_option = click.option(
    "--url",
    envvar="AUTONL_URL",
    default=DEFAULT_SERVICE_URL,
    show_default=True,
    help=f"{_URL_HELP}; may stand after the command too",
)
_url_option = click.option(
    "--url", default=_url_before_the_command, help=f"{_URL_HELP}  [default: {DEFAULT_SERVICE_URL}]"
)


def _remember_key(context: click.Context, _parameter: click.Parameter, key: str | None) -> None:
    if key:
        context.meta[_KEY] = key


def key_of_command() -> str | None:
    """The key that the command that runs was given, before or after its name, or by the environment."""
    context = click.get_current_context(silent=True)
    key: str | None = None if context is None else context.meta.get(_KEY)
    return key


key_before_option = click.option(
    "--key",
    envvar="AUTONL_KEY",
    callback=_remember_key,
    expose_value=False,
    help=f"{_KEY_HELP}; may stand after the command too",
)
_key_option = click.option("--key", callback=_remember_key, expose_value=False, help=_KEY_HELP)


def url_option(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which service to ask, and with which key."""
    return _url_option(_key_option(command))


json_option = click.option("--json", "as_json", is_flag=True, help="print JSON instead of text")
search_argument = click.argument(
    "search_id", metavar="SEARCH", help="search id, or how it begins; or an alias, MODEL@ALIAS"
)

_P = ParamSpec("_P")


def labels_of(texts: tuple[str, ...]) -> dict[str, str]:
    """Labels as the command line has them, KEY:VALUE. Raises BadParameter for a text without a colon."""
    return _pairs_of(texts, "a label as KEY:VALUE, as in team:x")


def constraints_of(texts: tuple[str, ...]) -> dict[str, str | int]:
    """Constraints as the command line has them, NAME:AMOUNT. Raises BadParameter for a text without a colon."""
    pairs = _pairs_of(texts, "a constraint as NAME:AMOUNT, as in params:2M")
    return {name: int(amount) if amount.isdecimal() else amount for name, amount in pairs.items()}


def _pairs_of(texts: tuple[str, ...], form: str) -> dict[str, str]:
    for text in texts:
        if ":" not in text:
            raise click.BadParameter(f"write {form}, not {text!r}")
    pairs = (text.partition(":") for text in texts)
    return {key: value for key, _, value in pairs}


def print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def stop_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    """Make a command end with a readable message and exit code 2 instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CommandError as error:
            from rich.console import Console
            from rich.text import Text

            Console(stderr=True).print(Text(str(error), style="red"), soft_wrap=True)
            raise click.exceptions.Exit(REFUSED) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None

    return wrapper
