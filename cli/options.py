"""What the client commands share: the service's URL, output for programs, and how errors end a command."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from cli.client import Client
from cli.errors import CommandError, SettingsError
from store.settings import Settings

REFUSED = 2  # exit code when a command could not do what was asked

Url = Annotated[str | None, typer.Option("--url", help="address of the service [env: AUTONL_URL]")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]

_P = ParamSpec("_P")


def connect(url: str | None) -> Client:
    """A client of the named service, or else of the one that the environment names."""
    return Client(url or read_settings().url)


def read_settings(**chosen: Any) -> Settings:
    """The settings of the environment, with what was chosen on the command line. Raises SettingsError, naming all."""
    try:
        return Settings(**chosen)
    except ValidationError as error:
        listed = ((".".join(map(str, wrong["loc"])), wrong["msg"]) for wrong in error.errors(include_url=False))
        raise SettingsError(
            "A setting is wrong", [f"AUTONL_{n.upper()}: {m}" if n else m for n, m in listed]
        ) from error


def print_json(answer: Any) -> None:
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def stop_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    """Ends a command with a readable message and exit code 2 instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CommandError as error:
            Console(stderr=True).print(Text(str(error), style="red"), soft_wrap=True)
            raise typer.Exit(REFUSED) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapper
